"""Masked keys and values have no influence at all, forward or backward.

Finds a mask that is a finite number, a tile that is masked too late, a row that reads one key too
many: whatever a row may not attend becomes other finite numbers, and no bit of the row's results
may change. A right kernel gives masked keys the weight 0 exactly, and 0 times a finite number is 0;
NaN is put only beyond lengths that the kernel is told, which it has no reason to read. What
atomic additions move from launch to launch is told from a leak by repeats of both.
"""

from __future__ import annotations

import re

import torch

from attnprobe.core.parity import Failure
from attnprobe.device.laboratory import Skipped
from attnprobe.device.numerics import exact
from attnprobe.device.subject import Subject

LENGTHS = re.compile("cu_seq|offsets|BlockDiagonal")
"""Forms that tell a library lengths, so that it needs to read nothing beyond them."""


def examine(subject: Subject) -> tuple[Failure, ...] | Skipped:
    """Replaces masked keys from several places on."""
    if subject.case.dropout_p:
        return Skipped("with dropout, two runs are not alike")
    told = LENGTHS.search(subject.prepare().form) is not None
    return exact.leak(subject.run, subject.inputs, torch.nan if told else 1000.0)
