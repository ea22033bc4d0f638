"""First and last sequences of a case that is too large to be compared as a whole.

Finds indices that overflow: beyond 2^31 elements, beyond 65,535 blocks of a grid, in the last batch
element alone. Sequences do not know of each other, so that a right kernel gives each what it would
give it in any batch: the first and the last are held to the reference of themselves, within the
contract, not to the same bits.
"""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from attnprobe.core.parity import Failure
from attnprobe.device import reference
from attnprobe.device.inputs import Inputs, Outputs
from attnprobe.device.laboratory import Skipped, _judged
from attnprobe.device.subject import Subject


def examine(subject: Subject) -> tuple[Failure, ...] | Skipped:
    """One launch; two sequences judged."""
    case = subject.case
    if case.dropout_p or case.lengths or case.score.bias:
        return Skipped("sequences are taken apart where there are no lengths, bias or dropout")
    outputs = subject.run()
    found: list[Failure] = []
    for b in sorted({0, case.B // 2, case.B - 1}):
        own = _sequence(subject.inputs, b)
        part = Outputs(
            **{name: _row(getattr(outputs, name), b) for name in ("out", "lse", "dq", "dk", "dv")}  # type: ignore[arg-type] # `out` is never None
        )
        wrong = _judged.failures(subject, part, own, reference.at_home(own))
        found += _judged.renamed(wrong, "ends", f"sequence {b} of {case.B}")
    return tuple(found)


def _sequence(inputs: Inputs, b: int) -> Inputs:
    """One sequence as a case of its own."""
    rows = {name: getattr(inputs, name)[b : b + 1] for name in ("q", "k", "v", "dout")}
    return replace(inputs, case=inputs.case.edit(B=1), **rows)


def _row(x: Tensor | None, b: int) -> Tensor | None:
    return None if x is None else x[b : b + 1]
