"""Repeats agree as far as rounding goes, and to the bit where torch is told to be deterministic.

Finds races: a result that is right most of the time, and a kernel that ignores
`torch.use_deterministic_algorithms`. A right kernel may add in another order every time (atomic
additions), so that its repeats differ within the bounds of its contract; each repeat is held to
those, never to another repeat's bits. In deterministic mode it must either refuse or repeat itself
exactly:
https://docs.pytorch.org/docs/stable/generated/torch.use_deterministic_algorithms.html
On a GPU every other repeat runs beside another stream's work.
"""

from __future__ import annotations

from attnprobe.core.parity import QUANTITIES, Failure
from attnprobe.device.inputs import Outputs
from attnprobe.device.laboratory import Skipped, _judged
from attnprobe.device.laboratory._conditions import deterministic, load
from attnprobe.device.subject import Declined, Subject

REPEATS = 12


def examine(subject: Subject) -> tuple[Failure, ...] | Skipped:
    """Many runs, each judged; then two in deterministic mode."""
    case = subject.case
    if case.dropout_p:
        return Skipped("with dropout, two runs are not alike")
    first = subject.run()
    truth = subject.truth
    wrong = [_judged.failures(subject, first, subject.inputs, truth)]
    moved: set[str] = set()
    for n in range(1, REPEATS):
        with load(case.device, n % 2 == 1):
            outputs = subject.run()
        differs = _differing(first, outputs)
        moved |= set(differs)
        same = not differs
        wrong.append(
            wrong[0] if same else _judged.failures(subject, outputs, subject.inputs, truth)
        )
    bad = [found for found in wrong if found]
    if bad and len(bad) == len(wrong):
        return bad[0]
    if bad:
        when = f"{len(bad)} of {len(wrong)} repeats of one call are wrong, the others right"
        return _judged.renamed(bad[0], "determinism", when)
    return _deterministic_mode(subject)


def _deterministic_mode(subject: Subject) -> tuple[Failure, ...]:
    with deterministic():
        try:
            first, second = subject.run(), subject.run()
        except Declined:
            return ()
        except RuntimeError as error:
            if "deterministic" in str(error):
                return ()  # it says so: that is what the mode asks for
            raise
    moved = _differing(first, second)
    if not moved:
        return ()
    message = f"{', '.join(moved)} differ between two runs under use_deterministic_algorithms"
    return (Failure("determinism", message),)


def _differing(one: Outputs, other: Outputs) -> list[str]:
    """Quantities whose bits differ; a NaN equals a NaN."""
    found = []
    for name in QUANTITIES:
        a, b = getattr(one, name), getattr(other, name)
        if a is None or b is None:
            continue
        if not bool(((a == b) | (a.isnan() & b.isnan())).all()):
            found.append(name)
    return found
