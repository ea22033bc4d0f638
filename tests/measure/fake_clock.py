"""A clock whose time is simulated, so that statistics are tested without waiting and without luck."""

from __future__ import annotations

import random
from collections.abc import Callable

from attnprobe.device.measure.clocks import Call, Reading


class FakeClock:
    """A machine whose calls take what they return, times a noise that all of them share.

    Args:
        noise: Factor on every call at a moment of simulated time.
    """

    text = "simulated"

    def __init__(self, noise: Callable[[float], float] = lambda now: 1.0) -> None:
        self.time, self._noise = 0.0, noise

    def now(self) -> float:
        return self.time

    def burst(self, call: Call, n: int) -> list[Reading]:
        readings = []
        for _ in range(n):
            took = call.run(call.before()) * self._noise(self.time)
            self.time += took
            readings.append(Reading(took, took))
        return readings


def taking(seconds: float, rng: random.Random, spread: float = 0.02) -> Call:
    """A call of this median, lognormal with the given spread."""
    return Call(lambda _: seconds * rng.lognormvariate(0.0, spread))


def neighbours(
    rng: random.Random, period: float = 0.05, slow: float = 0.3
) -> Callable[[float], float]:
    """A shared machine: for a period at a time everything runs up to `slow` slower."""
    levels: dict[int, float] = {}
    return lambda now: levels.setdefault(int(now / period), 1.0 + slow * rng.random())
