"""Query heads that read another key head than the one of their group.

Key head h // G belongs to query head h. Kernels that tile instead of repeat read h % Hkv; others read
one head for all, when a stride is 0 or the head index is not passed on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from attnprobe.device.explainer.seen import Seen, Variant
from attnprobe.device.inputs import Inputs, Outputs

KIND = "problem"


def variants(seen: Seen) -> Iterator[Variant]:
    """Tiled heads; the first or last key head for all."""
    inputs, case = seen.inputs, seen.inputs.case
    if case.Hkv == 1:
        return
    if case.groups > 1:
        yield _tiled(inputs)
    for says, h in (("first", slice(0, 1)), ("last", slice(-1, None))):
        k, v = inputs.k[:, h].expand_as(inputs.k), inputs.v[:, h].expand_as(inputs.v)
        yield Variant(f"all query heads read the {says} key head", replace(inputs, k=k, v=v))
        yield Variant(f"all query heads read the {says} head of v", replace(inputs, v=v))
        yield Variant(f"all query heads read the {says} head of k", replace(inputs, k=k))


def _tiled(inputs: Inputs) -> Variant:
    """Query heads in the order in which those that read the same key head lie together."""
    case = inputs.case
    order = torch.arange(case.Hq, device=inputs.q.device).view(case.groups, case.Hkv).T.flatten()
    bias = inputs.bias
    if bias is not None and bias.shape[1] > 1:
        bias = bias[:, order]
    problem = replace(inputs, q=inputs.q[:, order], dout=inputs.dout[:, order], bias=bias)

    def undo(outputs: Outputs) -> Outputs:
        def sorted_(x: Tensor | None) -> Tensor | None:
            return None if x is None else x[:, order]

        dbias = outputs.dbias
        if dbias is not None and dbias.shape[1] > 1:
            dbias = dbias[:, order]
        return replace(
            outputs,
            out=outputs.out[:, order],
            lse=sorted_(outputs.lse),
            dq=sorted_(outputs.dq),
            dbias=dbias,
        )

    says = "key heads are tiled instead of repeated: query head h reads key head h % Hkv"
    return Variant(says, problem, undo)
