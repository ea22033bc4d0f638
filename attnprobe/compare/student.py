"""Quantiles of Student's t, for any confidence: what intervals of few rounds are widened by."""

from __future__ import annotations

from functools import cache
from math import cos, inf, pi, sin, sqrt, tan
from statistics import NormalDist

_AS_GOOD_AS_NORMAL = 400
"""Degrees of freedom from which the normal distribution takes over: at one in 100,000 it is 1% less."""


@cache
def quantile(confidence: float, freedom: int) -> float:
    """The t with P(|T| <= t) = confidence.

    Args:
        confidence: Between 0 and 1.
        freedom: Degrees of freedom, at least 1.
    """
    if freedom >= _AS_GOOD_AS_NORMAL:
        return NormalDist().inv_cdf((1.0 + confidence) / 2.0)
    low, high = 0.0, pi / 2  # of the angle atan(t / sqrt(freedom)), in which the answer is bounded
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _within(middle, freedom) < confidence else (low, middle)
    return sqrt(freedom) * tan(high) if high < pi / 2 else inf


def _within(angle: float, freedom: int) -> float:
    """P(|T| <= sqrt(freedom) tan(angle)), a finite sum for whole degrees of freedom.

    Source: Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.3 and 26.7.4.
    """
    odd = freedom % 2
    term, total = (cos(angle), 0.0) if odd else (1.0, 0.0)
    for power in range(odd, freedom - 1, 2):
        total += term
        term *= cos(angle) ** 2 * (power + 1) / (power + 2)
    if odd:
        return 2 / pi * (angle + sin(angle) * total)
    return sin(angle) * total
