"""An added tensor that is dropped, scaled, negated, or read with a wrong stride.

Broadcast dimensions have stride 0, the others must not: the bias of the first batch element, head or
row for all; or the bias is added before the scale is applied, or before the change to base 2.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from torch import Tensor

from attnprobe.core.mask import NONE
from attnprobe.device.explainer.edits import biased
from attnprobe.device.explainer.seen import Seen, Variant
from attnprobe.device.inputs import Inputs
from attnprobe.device.lowering import dense

KIND = "problem"


def variants(seen: Seen) -> Iterator[Variant]:
    """Every wrong bias, where it differs from the right one."""
    inputs, case, bias = seen.inputs, seen.inputs.case, seen.inputs.bias
    if bias is not None:
        b = bias.double()
        yield Variant("the bias is dropped", biased(inputs, None))
        wrong = {
            "the bias is multiplied by the scale": b * case.scale,
            "the bias is multiplied by 1 / sqrt(K)": b * case.K**-0.5,
            "the bias is divided by the scale": b / case.scale if case.scale else b,
            "the bias has the wrong sign": -b,
            "the bias is added twice": 2 * b,
            "the bias is multiplied by ln 2": b * math.log(2.0),
            "the bias is multiplied by log2(e)": b / math.log(2.0),
            "the bias is rounded to bfloat16": b.bfloat16().double(),
            "the bias is rounded to float16": b.half().double(),
        }
        yield from _different(inputs, b, wrong | _strides(b, "bias", case.Mq == case.Mkv))
    if case.storage == "padded" and (case.score.alibi or not (bias is None or case.mask.is_none)):
        # kernels that take one additive tensor see mask, ALiBi and bias in one
        score = replace(case.score, alibi=False)
        alone = replace(inputs, case=case.edit(score=score, mask=NONE, lengths=None))
        total = dense.additive(inputs).double()
        yield from _different(alone, total, _strides(total, "additive mask", case.Mq == case.Mkv))


def _strides(b: Tensor, what: str, square: bool) -> dict[str, Tensor]:
    wrong = {
        f"every batch element uses the {what} of the first": b[:1].expand_as(b),
        f"every head uses the {what} of the first": b[:, :1].expand_as(b),
        f"every row uses the {what} of row 0": b[:, :, :1].expand_as(b),
        f"every key uses the {what} of key 0": b[..., :1].expand_as(b),
    }
    if square and b.shape[2] == b.shape[3]:
        wrong[f"the {what} is read with rows and columns exchanged"] = b.mT
    return wrong


def _different(inputs: Inputs, right: Tensor, wrong: dict[str, Tensor]) -> Iterator[Variant]:
    tried = [right]
    for says, tensor in wrong.items():
        if not any(tensor.equal(other) for other in tried):
            tried.append(tensor)
            yield Variant(says, biased(inputs, tensor))
