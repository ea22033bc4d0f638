"""Memory of one layout read as the other: (B, H, M, K) as (B, M, H, K).

Attention then runs over heads instead of positions (what an unpermuted tensor does in xFormers,
flash-attn or SDPA), or over a mixture of both when the memory is only renamed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from torch import Tensor

from attnprobe.device.explainer.seen import Seen, Variant
from attnprobe.device.inputs import Inputs, Outputs

KIND = "problem"


def variants(seen: Seen) -> Iterator[Variant]:
    """Dimensions exchanged, and memory renamed."""
    i, case = seen.inputs, seen.inputs.case
    if case.Mq != case.Mkv or case.Hq != case.Hkv or case.lengths or not case.score.is_plain:
        return
    swapped = case.edit(Hq=case.Mq, Hkv=case.Mq, Mq=case.Hq, Mkv=case.Hq)
    yield Variant(
        "heads and positions are exchanged: attention runs over heads",
        _all(replace(i, case=swapped), _exchanged),
        lambda outputs: _put_back(outputs, _exchanged),
    )

    def renamed(x: Tensor) -> Tensor:
        B, H, M, K = x.shape
        return x.contiguous().view(B, M, H, K).transpose(1, 2)

    yield Variant(
        "memory laid out (B, H, M, K) is read as (B, M, H, K)",
        _all(i, renamed),
        lambda outputs: _put_back(outputs, renamed),
    )


def _exchanged(x: Tensor) -> Tensor:
    return x.transpose(1, 2)


def _all(i: Inputs, change: object) -> Inputs:
    assert callable(change)
    return replace(i, **{name: change(getattr(i, name)) for name in ("q", "k", "v", "dout")})


def _put_back(outputs: Outputs, change: object) -> Outputs:
    assert callable(change)
    names = [n for n in ("out", "dq", "dk", "dv") if getattr(outputs, n) is not None]
    return replace(outputs, lse=None, **{n: change(getattr(outputs, n)) for n in names})
