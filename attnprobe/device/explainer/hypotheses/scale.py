"""Logits multiplied by another number than the one asked for.

The scale left out, applied to q and again to the scores, taken from the padded head dim or from that of
v, a given scale replaced by the default, or exp2 without the factor log2(e).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from attnprobe.core.case import Case
from attnprobe.device.explainer.seen import Seen, Variant
from attnprobe.device.inputs import Inputs

KIND = "problem"


def variants(seen: Seen) -> Iterator[Variant]:
    """Scales as kernels get them wrong, where they differ from the right one."""
    tried = [seen.inputs.case.scale]
    for says, scale in wrong_scales(seen.inputs.case).items():
        if not any(math.isclose(scale, other) for other in tried):
            tried.append(scale)
            yield Variant(says, scaled(seen.inputs, scale))


def wrong_scales(case: Case) -> dict[str, float]:
    """By what is wrong with them; the most telling words first, where several give one number."""
    right = case.scale
    wrong = {"the given scale is ignored": case.K**-0.5, "the scale is missing": 1.0}
    wrong["the scale has the wrong sign"] = -right
    if right > 0:
        wrong |= {
            "the scale is applied twice": right**2,
            "the root of the scale is used": right**0.5,
            "the softmax is to base 2 without log2(e) in the scale": right * math.log(2.0),
            "log2(e) is in the scale and the softmax is to base e": right / math.log(2.0),
            "the scale is 1 / K": 1.0 / case.K,
            "the scale is that of the head dim of v": case.Kv**-0.5,
        }
    for size in (16, 32, 64, 128, 256):
        padded = -(-case.K // size) * size
        if padded != case.K:
            wrong.setdefault(f"the scale is that of the head dim padded to {padded}", padded**-0.5)
    return wrong


def scaled(inputs: Inputs, scale: float) -> Inputs:
    """The same problem with another scale."""
    score = replace(inputs.case.score, scale=scale)
    return replace(inputs, case=inputs.case.edit(score=score))
