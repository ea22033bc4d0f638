"""A query of very large numbers changes its own row, and no other.

Finds a maximum or a sum that rows of a tile share: one outlier makes the exponentials of its neighbours
vanish. In a right kernel rows do not know of each other. All results are held to the reference of these
inputs. The numbers are finite: what becomes of NaN is promised by nobody, and right kernels differ.
"""

from __future__ import annotations

from dataclasses import replace

from attnprobe.core.parity import Failure
from attnprobe.device import reference
from attnprobe.device.laboratory import Skipped, _judged
from attnprobe.device.subject import Subject

OUTLIER = 512.0
"""Logits of hundreds to thousands, far beyond the 88 after which a float32 exponential is 0, and below
float16's 65,504. A power of two, so that the query keeps its significands."""


def examine(subject: Subject) -> tuple[Failure, ...] | Skipped:
    """One launch, with an outlier among the queries of the middle."""
    case = subject.case
    if case.dropout_p:
        return Skipped("with dropout, there is no reference")
    usual = _judged.usual(subject)
    if usual:
        return usual
    truth = subject.truth
    if truth.index is not None:
        return Skipped("the case is too large for a reference of every row")
    rows = truth.has_keys[0, -1].nonzero().flatten()
    if not len(rows):
        return Skipped("no row of the first sequence has keys")
    at = (0, case.Hq - 1, int(rows[len(rows) // 2]))
    q = subject.inputs.q.clone()
    q[at] *= OUTLIER
    inputs = replace(subject.inputs, q=q)
    wrong = _judged.failures(subject, subject.run(inputs), inputs, reference.at_home(inputs))
    when = f"query {at[2]} of batch 0, head {at[1]} times {OUTLIER:g}"
    return _judged.renamed(wrong, "isolation", when)
