"""Values times a power of two give the output times it; gradients follow the cotangent likewise.

Finds values or cotangents that pass through a format or a constant they should not: a clamp, an
epsilon, a scaling that depends on size; a float16 on the way, which ends at 65,504 and whose small
numbers are the first that a mean over a long loss makes. A right kernel is linear in both, and a power
of two changes no significand, so bits must agree; not so in float16, whose subnormals round.
What atomic additions move from launch to launch is told apart by repeats.
"""

from __future__ import annotations

from attnprobe.core.parity import Failure
from attnprobe.device.laboratory import Skipped
from attnprobe.device.numerics import exact
from attnprobe.device.subject import Subject

FACTORS = (4.0, 2.0**20, 2.0**-20)
"""The last two lead out of float16, and stay 2^100 away from the ends of bfloat16 and float32."""


def examine(subject: Subject) -> tuple[Failure, ...] | Skipped:
    """Four launches for each factor, the first that is no good ends it."""
    if subject.case.dtype == "float16":
        return Skipped("float16 rounds subnormals on the way")
    if subject.case.dropout_p:
        return Skipped("with dropout, two runs are not alike")
    for factor in FACTORS:
        found = exact.power_of_two(subject.run, subject.inputs, factor)
        if found:
            return found
    return ()
