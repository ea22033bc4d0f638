"""The result does not depend on what freed memory holds.

Finds an output, a gradient or a workspace that a kernel allocates and does not fill: the tail of a
partial tile, rows without keys, a buffer for partial sums. A right kernel writes before it reads,
whatever the allocator hands out: NaN (torch's own fill of empty tensors), or large numbers left in
freed blocks of the sizes that the call needs. Numbers are compared only where plain repeats agree
to the bit.
"""

from __future__ import annotations

import torch
from torch import Tensor

from attnprobe.core.parity import QUANTITIES, Failure
from attnprobe.device.inputs import Outputs
from attnprobe.device.laboratory import Skipped
from attnprobe.device.laboratory._conditions import deterministic
from attnprobe.device.subject import Declined, Subject

LITTER = 12345.0
"""Left in freed memory; exact enough in every format to be far from any result."""


def examine(subject: Subject) -> tuple[Failure, ...] | Skipped:
    """Two plain runs, one among litter, one where empty memory is NaN."""
    if subject.case.dropout_p:
        return Skipped("with dropout, two runs are not alike")
    base, again = subject.run(), subject.run()
    found = []
    prepared = subject.prepare()
    _litter(base)
    with prepared.around():
        littered = subject.launch(prepared).outputs
    found += _changed(base, again, littered)
    try:
        with deterministic(strict=False):
            filled = subject.run()
    except Declined:  # some kernels refuse in this mode
        return tuple(found)
    return tuple(found) or _nonfinite(base, filled)


def _litter(like: Outputs) -> None:
    """Takes and frees blocks of the outputs' sizes, and of half and twice that."""
    blocks = []
    for name in QUANTITIES:
        x = getattr(like, name)
        if x is None:
            continue
        for size in (x.numel() // 2, x.numel(), 2 * x.numel()):
            for dtype in {x.dtype, torch.float32}:
                blocks += [
                    torch.full((size,), LITTER, dtype=dtype, device=x.device) for _ in range(3)
                ]
    del blocks


def _changed(base: Outputs, again: Outputs, littered: Outputs) -> list[Failure]:
    found = []
    for name in QUANTITIES:
        a, b, x = getattr(base, name), getattr(again, name), getattr(littered, name)
        if a is None or b is None or x is None or bool(_differ(a, b).any()):
            continue
        wrong = _differ(a, x)
        if bool(wrong.any()):
            found.append(_failure(name, wrong, "changes when freed memory holds other numbers"))
    return found


def _nonfinite(base: Outputs, filled: Outputs) -> tuple[Failure, ...]:
    found = []
    for name in QUANTITIES:
        a, x = getattr(base, name), getattr(filled, name)
        if a is None or x is None:
            continue
        wrong = x.isnan() & ~a.isnan()
        if bool(wrong.any()):
            found.append(_failure(name, wrong, "is NaN when memory that nobody wrote to is NaN"))
    return tuple(found)


def _differ(a: Tensor, b: Tensor) -> Tensor:
    return ~((a == b) | (a.isnan() & b.isnan()))


def _failure(name: str, wrong: Tensor, says: str) -> Failure:
    where = tuple(int(n) for n in wrong.nonzero()[0])
    count = f"{int(wrong.sum())} of {wrong.numel()} elements, first at {where}"
    return Failure("unwritten", f"{name} {says}: {count}")
