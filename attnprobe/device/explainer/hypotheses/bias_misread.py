"""An added tensor that is dropped, scaled, negated, or read with a wrong stride.

Broadcast dimensions have stride 0, the others must not: the bias of the first batch element, head or
row for all; or the bias is added before the scale is applied, or before the change to base 2.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from attnprobe.device.explainer.edits import biased
from attnprobe.device.explainer.seen import Seen, Variant

KIND = "problem"


def variants(seen: Seen) -> Iterator[Variant]:
    """Every wrong bias, where it differs from the right one."""
    inputs, case, bias = seen.inputs, seen.inputs.case, seen.inputs.bias
    if bias is None:
        return
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
        "every batch element uses the bias of the first": b[:1].expand_as(b),
        "every head uses the bias of the first": b[:, :1].expand_as(b),
        "every row uses the bias of row 0": b[:, :, :1].expand_as(b),
        "every key uses the bias of key 0": b[..., :1].expand_as(b),
    }
    if case.Mq == case.Mkv and b.shape[2] == b.shape[3]:
        wrong["the bias is read with rows and columns exchanged"] = b.mT
    tried = [b]
    for says, tensor in wrong.items():
        if not any(tensor.equal(other) for other in tried):
            tried.append(tensor)
            yield Variant(says, biased(inputs, tensor))
