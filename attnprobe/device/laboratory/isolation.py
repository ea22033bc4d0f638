"""A NaN in one query makes that row NaN, and no other.

Finds a maximum or a sum that rows of a tile share, and a `nan_to_num` at the end, which hides that a
model diverged: loss scaling in float16 rests on seeing it. In a right kernel rows do not know of each
other, and softmax of NaN is NaN. The other rows of out and dq are held to the reference; dk and dv are
spoilt with good reason and left unjudged.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from attnprobe.core.parity import Failure
from attnprobe.device.inputs import Outputs
from attnprobe.device.laboratory import Skipped, _judged
from attnprobe.device.reference import Reference
from attnprobe.device.subject import Subject


def examine(subject: Subject) -> tuple[Failure, ...] | Skipped:
    """One launch, with NaN in a query of the middle."""
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
    q[at] = torch.nan
    got = subject.run(replace(subject.inputs, q=q))
    found: tuple[Failure, ...] = ()
    hidden = int((~got.out[at].isnan()).sum())
    if hidden:
        message = f"a query of NaN gives {hidden} of {case.Kv} numbers that are not NaN"
        found = (Failure("isolation", message),)
    wrong = _judged.failures(subject, _others(got, at, truth), subject.inputs, truth)
    when = f"NaN in query {at[2]} of batch 0, head {at[1]} alone"
    return (*found, *_judged.renamed(wrong, "isolation", when))


def _others(got: Outputs, at: tuple[int, int, int], truth: Reference) -> Outputs:
    """The outputs, with the truth where NaN belongs."""

    def healed(name: str) -> Tensor | None:
        seen: Tensor | None = getattr(got, name)
        right: Tensor | None = getattr(truth, name)
        if seen is None or right is None:
            return seen
        if name in ("dk", "dv", "dbias"):
            return right.to(seen.dtype)
        seen = seen.clone()
        seen[at] = right[at].to(seen.dtype)
        return seen

    out = healed("out")
    assert out is not None
    return Outputs(out, *(healed(name) for name in ("lse", "dq", "dk", "dv", "dbias")))
