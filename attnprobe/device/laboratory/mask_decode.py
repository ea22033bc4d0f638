"""Which keys every query attends, read off the output; and again off the gradient of the values.

Finds a mask that is shifted, transposed, inverted, another head's or another batch's, one key too
far at a tile's edge, or other in the backward than in the forward. It needs no tolerance: with q =
0 every attended key weighs 1/n, which no right kernel can round to zero, and every other key weighs
exactly 0.
"""

from __future__ import annotations

from attnprobe.core.parity import Failure
from attnprobe.device.laboratory import Skipped
from attnprobe.device.numerics import exact
from attnprobe.device.subject import Subject

PASSES = 16
"""Launches in each direction; blocks in the middle of longer cases are left out."""


def examine(subject: Subject) -> tuple[Failure, ...] | Skipped:
    """One launch per `Kv` keys, and one per `Kv` queries and head of a group."""
    reason = exact.decodable(subject.case)
    if reason:
        return Skipped(reason)
    return exact.decode(subject.run, subject.inputs, PASSES)
