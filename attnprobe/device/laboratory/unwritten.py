"""The result does not depend on what freed memory holds.

Finds an output, a gradient or a workspace that a kernel allocates and does not fill: the tail of a
partial tile, rows without keys, a buffer for partial sums. A right kernel writes before it reads,
whatever the allocator hands out: NaN (torch's own fill of empty tensors), or large numbers left in
freed blocks of the sizes that the call needs. Numbers are compared only where plain repeats agree
to the bit; atomic additions may part one launch in a thousand from the others, so that a change
counts when every one of `LITTERED` launches shows it and none of `PLAIN`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from attnprobe.core.parity import QUANTITIES, Failure
from attnprobe.device.inputs import Outputs
from attnprobe.device.laboratory import Skipped
from attnprobe.device.laboratory._conditions import deterministic
from attnprobe.device.subject import Declined, Subject

LITTERED, PLAIN = 5, 20
"""What moves in a share p of all launches passes both with p^5 (1 - p)^20, at most 4e-6 (at p = 1/5)."""

LITTER = 12345.0
"""Left in freed memory; exact enough in every format to be far from any result."""


def examine(subject: Subject) -> tuple[Failure, ...] | Skipped:
    """Two plain runs, one among litter, one where empty memory is NaN."""
    if subject.case.dropout_p:
        return Skipped("with dropout, two runs are not alike")
    base = subject.run()
    found = _changed(subject, base)
    try:
        with deterministic(strict=False):
            filled = subject.run()
    except Declined:  # some kernels refuse in this mode
        return found
    return found or _nonfinite(base, filled)


def _littered(subject: Subject, like: Outputs) -> Outputs:
    """One launch right after blocks of such outputs' sizes were filled and freed."""
    prepared = subject.prepare()
    _litter(like)
    with prepared.around():
        return subject.launch(prepared).outputs


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


def _changed(subject: Subject, base: Outputs) -> tuple[Failure, ...]:
    """Quantities that litter changes, and repeats do not."""
    moved = _moved(base, _littered(subject, base))
    for _ in range(LITTERED - 1):
        if moved:
            again = _moved(base, _littered(subject, base))
            moved = {name: wrong for name, wrong in moved.items() if name in again}
    for _ in range(PLAIN):
        if moved:
            unsteady = _moved(base, subject.run())
            moved = {name: wrong for name, wrong in moved.items() if name not in unsteady}
    says = "changes when freed memory holds other numbers"
    return tuple(_failure(name, wrong, says) for name, wrong in moved.items())


def _moved(one: Outputs, other: Outputs) -> dict[str, Tensor]:
    """Where quantities differ, for those that do anywhere."""
    pairs = {name: (getattr(one, name), getattr(other, name)) for name in QUANTITIES}
    differ = {n: _differ(a, b) for n, (a, b) in pairs.items() if a is not None and b is not None}
    return {name: wrong for name, wrong in differ.items() if bool(wrong.any())}


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
