"""A log-sum-exp in another unit or layout: base 2, without the scale, heads last in memory.

Kernels that exponentiate with exp2 hold it in base 2; some leave log(scale) out or count it twice, take
the scores before the scale, or write (B, Mq, Hq) into memory that is handed out as (B, Hq, Mq).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from attnprobe.device.explainer.seen import Seen, Variant
from attnprobe.device.inputs import Outputs
from attnprobe.device.reference import compute

KIND = "result"


def variants(seen: Seen) -> Iterator[Variant]:
    """Conventions that occur."""
    if "lse" not in seen.unexplained:
        return
    s = seen.inputs.case.scale
    yield _variant(seen, "the log-sum-exp is in base 2", math.log(2.0), 0.0)
    yield _variant(seen, "the log-sum-exp is multiplied by ln 2", 1 / math.log(2.0), 0.0)
    yield _variant(seen, "the log-sum-exp has the wrong sign", -1.0, 0.0)
    says = "the log-sum-exp lies in memory as (B, Mq, Hq)"
    yield Variant(says, seen.inputs, _heads_last, of=("lse",))
    if s != 1:
        yield _unscaled(seen)
    if s > 0 and s != 1:
        yield _variant(seen, "the log-sum-exp is shifted by log(scale)", 1.0, -math.log(s))
        yield _variant(seen, "the log-sum-exp is shifted by -log(scale)", 1.0, math.log(s))


def _unscaled(seen: Seen) -> Variant:
    case = seen.inputs.case
    plain = case.edit(score=replace(case.score, scale=1.0), passes="fwd")
    further = compute(replace(seen.inputs, case=plain)).lse - seen.reference.lse

    def undo(outputs: Outputs) -> Outputs:
        assert outputs.lse is not None
        return replace(outputs, lse=outputs.lse.double() - further.nan_to_num(0.0))

    says = "the log-sum-exp is that of scores without the scale"
    return Variant(says, seen.inputs, undo, of=("lse",))


def _heads_last(outputs: Outputs) -> Outputs:
    assert outputs.lse is not None
    B, H, M = outputs.lse.shape
    return replace(outputs, lse=outputs.lse.reshape(B, M, H).transpose(1, 2))


def _variant(seen: Seen, says: str, factor: float, shift: float) -> Variant:
    def undo(outputs: Outputs) -> Outputs:
        assert outputs.lse is not None
        return replace(outputs, lse=outputs.lse.double() * factor + shift)

    return Variant(says, seen.inputs, undo, of=("lse",))
