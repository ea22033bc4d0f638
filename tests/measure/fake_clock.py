"""A clock whose time is simulated, so that statistics are tested without waiting and without luck."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

from attnprobe.device.measure.clocks import Call, Reading


class FakeClock:
    """A machine whose calls take what they return, times a noise that all of them share.

    Args:
        noise: Factor on every call at a moment of simulated time.
        rested: How much longer calls take in the first burst after the host has looked at the clock,
            which it does between rounds: a GPU that has rested is not like one in full swing.
        cold: How much longer the first call of a burst takes, half as much the second, and so on.
    """

    text = "simulated"

    def __init__(
        self,
        noise: Callable[[float], float] = lambda now: 1.0,
        rested: float = 0.0,
        cold: float = 0.0,
    ) -> None:
        self.time, self._noise = 0.0, noise
        self._rested, self._cold, self._rests = rested, cold, True

    def now(self) -> float:
        self._rests = True
        return self.time

    def burst(self, call: Call, n: int) -> list[Reading]:
        readings = []
        rested, self._rests = self._rested * self._rests, False
        for position in range(n):
            factor = (1.0 + rested) * (1.0 + self._cold / 2**position)
            took = call.run(call.before()) * self._noise(self.time) * factor
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


def wandering(
    rng: random.Random, memory: float = 0.02, spread: float = 0.02, step: float = 1e-3
) -> Callable[[float], float]:
    """A clock that never rests: log speed is AR(1), forgotten after `memory` seconds."""
    keeps, levels = math.exp(-step / memory), [rng.gauss(0.0, spread)]

    def factor(now: float) -> float:
        while len(levels) <= now / step:
            levels.append(
                keeps * levels[-1] + math.sqrt(1 - keeps * keeps) * rng.gauss(0.0, spread)
            )
        return math.exp(levels[int(now / step)])

    return factor


def sinking(rate: float = 0.2) -> Callable[[float], float]:
    """A GPU that warms up: so much slower a second, steadily."""
    return lambda now: 1.0 + rate * now
