"""Masked keys and values have no influence at all, forward or backward.

Finds a mask that is a finite number, a tile that is masked too late, a row that reads one key too
many: whatever a row may not attend becomes other finite numbers, and no bit of the row's results
may change. A right kernel gives masked keys the weight 0 exactly, and 0 times a finite number is 0;
NaN is put only beyond the lengths of packed sequences, which no kernel has a reason to read.
Quantities that a plain repeat changes are not compared.
"""

from __future__ import annotations

from attnprobe.core.parity import Failure
from attnprobe.device.laboratory import Skipped
from attnprobe.device.numerics import exact
from attnprobe.device.subject import Subject


def examine(subject: Subject) -> tuple[Failure, ...] | Skipped:
    """Replaces masked keys from several places on."""
    if subject.case.dropout_p:
        return Skipped("with dropout, two runs are not alike")
    return exact.leak(subject.run, subject.inputs)
