"""Logits multiplied by some other number than the scale, read off the output.

A scale that is rounded, fused with another constant, or slightly wrong: out follows the problem with
that scale. The number comes from Newton's method on the error of a few rows.
"""

from __future__ import annotations

from collections.abc import Iterator

from attnprobe.device.explainer.hypotheses.scale import scaled, wrong_scales
from attnprobe.device.explainer.screen import Screen, predict
from attnprobe.device.explainer.seen import Seen, Variant

KIND = "indirect"

STEPS = 6
NEARLY = 1e-3
"""Relative distance to a known wrong scale within which its name is given as well."""

SMALL = 1e-4
"""Relative step of the difference quotient: far above float64's noise, far below any curvature."""


def variants(seen: Seen) -> Iterator[Variant]:
    """The scale that fits best, where it is not the right one."""
    right = seen.inputs.case.scale
    if "out" not in seen.unexplained or not right:
        return
    rows = Screen(seen).rows
    got = seen.outputs.out[:, :, rows].double()
    keep = got.isfinite() & seen.reference.compared[:, :, rows, None]
    factor = 1.0
    for _ in range(STEPS):
        at = predict(scaled(seen.inputs, right * factor), rows, "out")
        beside = predict(scaled(seen.inputs, right * factor * (1 + SMALL)), rows, "out")
        slope = (beside - at) / (factor * SMALL)
        error = (got - at).masked_fill(~keep, 0.0)
        size = float((slope**2 * keep).sum())
        if not size:
            return
        factor += max(-0.5 * factor, min(float((error * slope).sum()) / size, factor))
    if abs(factor - 1.0) > SMALL:
        known = wrong_scales(seen.inputs.case).items()
        near = (says for says, s in known if abs(s - right * factor) < NEARLY * abs(s))
        problem = scaled(seen.inputs, right * factor)
        number = f"the scale is {factor:.5g} times the right one"
        name = next(near, "")
        yield Variant(f"nearly {name}: {number}" if name else number, problem)
