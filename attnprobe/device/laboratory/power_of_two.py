"""Four times the values give four times the output; the gradients follow the cotangent likewise.

Finds values or cotangents that pass through a format or a constant they should not: a clamp, an
epsilon, a scaling that depends on size. A right kernel is linear in both, and a factor of four
changes no significand, so bits must agree; not so in float16, whose subnormals round on the way.
What atomic additions move from launch to launch is told apart by repeats.
"""

from __future__ import annotations

from attnprobe.core.parity import Failure
from attnprobe.device.laboratory import Skipped
from attnprobe.device.numerics import exact
from attnprobe.device.subject import Subject


def examine(subject: Subject) -> tuple[Failure, ...] | Skipped:
    """Four launches."""
    if subject.case.dtype == "float16":
        return Skipped("float16 rounds subnormals on the way")
    if subject.case.dropout_p:
        return Skipped("with dropout, two runs are not alike")
    return exact.power_of_two(subject.run, subject.inputs)
