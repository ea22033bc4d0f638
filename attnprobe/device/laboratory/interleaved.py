"""A call's backward is its own, though another call was made since.

Finds what a kernel keeps for the backward outside of the graph (on a module, in a global workspace, in
one buffer for all outputs): every model with two layers runs all forwards before the first backward. A
right kernel keeps what it needs with each call. Both calls are held to their references.
"""

from __future__ import annotations

from dataclasses import replace

from attnprobe.core.parity import Failure
from attnprobe.device import remembered
from attnprobe.device.inputs import make
from attnprobe.device.laboratory import Skipped, _judged
from attnprobe.device.subject import Subject


def examine(subject: Subject) -> tuple[Failure, ...] | Skipped:
    """Two forwards, then the two backwards in reverse."""
    hindrance = _judged.hindrance(subject)
    if hindrance is not None:
        return hindrance
    case = subject.case
    other = make(case.edit(seed=case.seed + 1))
    prepared = subject.prepare()
    between = subject.prepare(other)
    with prepared.around():
        native = prepared.launch()
        with between.around():
            subject.launch(between, other)
            later = between.launch()
            last = subject.launch(replace(between, launch=lambda: later, lse=None), other)
        first = subject.launch(replace(prepared, launch=lambda: native, lse=None))
    wrong = _judged.failures(subject, last.outputs, other, remembered.truth(other.case))
    wrong = wrong or _judged.failures(subject, first.outputs, subject.inputs, subject.truth)
    when = "with another call between its forward and its backward"
    return _judged.renamed(wrong, "interleaved", when)
