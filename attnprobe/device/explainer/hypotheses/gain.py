"""A result that is right but for a factor: everywhere, in some heads, batch elements or rows.

A scale that a gradient lacks or has twice, a mean where a sum belongs, a sign, a tile that is counted
twice. The factor is read off by least squares, and named when it is one that kernels know.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from attnprobe.core.case import Case
from attnprobe.device.explainer.pattern import AXES, located
from attnprobe.device.explainer.seen import Seen, Variant
from attnprobe.device.inputs import Outputs

KIND = "result"

SLICES = ((0, 1, 2, 3), (1, 2, 3), (0, 2, 3), (2, 3), (0, 1, 3))
"""Dimensions that share a factor: all, per batch element, per head, per head of each, per row."""


REMAINS = 0.5
"""Share of the error that may remain beside the factor: rounding, whose slope is no cause."""


def variants(seen: Seen) -> Iterator[Variant]:
    """For every quantity that is not explained, the coarsest slices whose factor is one number."""
    for name in seen.unexplained:
        got, truth = getattr(seen.outputs, name), getattr(seen.reference, name)
        if name == "lse" or got is None or not bool(got.isfinite().all()):
            continue
        for dims in SLICES:
            variant = _variant(seen, name, got.double(), truth, dims)
            if variant is not None:
                yield variant
                break


def _variant(
    seen: Seen, name: str, got: Tensor, truth: Tensor, dims: tuple[int, ...]
) -> Variant | None:
    size = (truth**2).sum(dims, keepdim=True)
    slope = (got * truth).sum(dims, keepdim=True) / size.clamp_min(1e-300)
    slope = torch.where(size > 0, slope, 1.0)
    # the noise of a slope: what is left over, spread over the slice
    rest = ((got - slope * truth) ** 2).sum(dims, keepdim=True)
    count = math.prod(truth.shape[d] for d in dims)
    noise = (rest / max(count - 1, 1) / size.clamp_min(1e-300)).sqrt()
    odd = (slope - 1.0).abs() > 6.0 * noise + 1e-7
    if not bool(odd.any()) or (len(dims) < 4 and bool(odd.all())):
        return None
    factor = float(((got * truth) * odd).sum() / ((truth**2) * odd).sum())
    if bool(((slope - factor).abs() > 6.0 * noise + 1e-3 * abs(factor))[odd].any()):
        return None
    divide = torch.where(odd, factor, 1.0)
    left, error = got - divide * truth, got - truth
    if abs(factor) < 1e-6 or float(left.norm()) > REMAINS * float(error.norm()):
        return None

    def undo(outputs: Outputs) -> Outputs:
        return replace(outputs, **{name: getattr(outputs, name).double() / divide})

    place = "" if bool(odd.all()) else f" in {located(odd.expand_as(truth), AXES[name])}"
    says = f"{name} is {_named(factor, name, seen.inputs.case)}{place}"
    return Variant(says, seen.inputs, undo, of=(name,))


def _named(factor: float, name: str, case: Case) -> str:
    s, G = case.scale, case.groups
    known = {}
    if G > 1 and name in ("dk", "dv"):
        known["averaged over the query heads of its group instead of summed"] = 1 / G
    known |= {"negated (wrong sign)": -1.0, "counted twice": 2.0, "halved": 0.5}
    if s not in (0.0, 1.0):
        if name in ("dq", "dk"):
            known |= {"not multiplied by the scale": 1 / s, "multiplied by the scale twice": s}
        else:
            known |= {"multiplied by the scale": s, "divided by the scale": 1 / s}
        known |= {"multiplied by 1 / sqrt(K)": case.K**-0.5}
    known |= {"multiplied by ln 2": math.log(2.0), "multiplied by log2(e)": 1 / math.log(2.0)}
    for says, value in known.items():
        if abs(factor - value) <= 2e-3 * abs(value):
            return says
    return f"multiplied by {factor:.5g}"
