"""What became of a trial, in the few words that matter between two runs of it."""

from __future__ import annotations

from typing import Literal

from attnprobe.compare.records import Change, Kernels, Memory
from attnprobe.core.outcome import Measured, Outcome, Refused

Standing = Literal["right", "unproven", "wrong", "refused", "broken"]
"""`unproven` ran and was not, or could not be, compared; `broken` raised, crashed, hung or ran out of
memory, or its package cannot be imported."""

MEMORY_SHARE = 0.01
MEMORY_BYTES = 64 * 2**10
"""An allocator's peaks are counted, not sampled: what exceeds both of these is a change and no noise."""

RESIDENT_BYTES = 2 * 2**20
"""In place of `MEMORY_BYTES` where the peak is of the resident set: pages of stacks and small blocks are
in it, up to a mebibyte in each of two readings (device/measure/resident.py)."""


def standing(outcome: Outcome) -> Standing:
    """Where a trial stands."""
    match outcome:
        case Measured(parity=None):
            return "unproven"
        case Measured(parity=parity):
            assert parity is not None  # the case above
            found: dict[str, Standing] = {"pass": "right", "fail": "wrong"}
            return found.get(parity.verdict, "unproven")
        case Refused(by="broken"):
            return "broken"
        case Refused():
            return "refused"
        case _:
            return "broken"


def change(old: Outcome, new: Outcome) -> Change:
    """What became of a trial between two runs of it."""
    before, after = standing(old), standing(new)
    match before, after:
        case _ if before == after or {before, after} == {"right", "unproven"}:
            return "none"
        case _, "wrong":
            return "newly_wrong"
        case "wrong", "right" | "unproven":
            return "newly_right"
        case "right" | "unproven", "refused":
            return "newly_refused"
        case "right" | "unproven", "broken":
            return "newly_broken"
        case _, "right" | "unproven":
            return "newly_runs"
        case _:
            return "otherwise"


def kernels(old: Outcome, new: Outcome) -> Kernels | None:
    """What ran, where both were looked at and it is not the same."""
    if not isinstance(old, Measured) or not isinstance(new, Measured):
        return None
    foreign = "" if old.unexpected_kernel else new.unexpected_kernel
    if set(old.kernels) == set(new.kernels) or not old.kernels or not new.kernels:
        return None
    return Kernels(old.kernels, new.kernels, foreign)


def memory(old: Outcome, new: Outcome) -> Memory | str | None:
    """Peak memory where both know it, why it is not compared, or None where neither does."""
    peaks = [outcome.timing if isinstance(outcome, Measured) else None for outcome in (old, new)]
    before, after = peaks
    if before is None or after is None or before.peak_bytes is None or after.peak_bytes is None:
        return None
    if before.memory != after.memory:
        return f"peak_bytes: taken otherwise ({before.memory}; now {after.memory})"
    how, moved = after.memory, after.peak_bytes - before.peak_bytes
    least = RESIDENT_BYTES if "resident" in how else MEMORY_BYTES
    if abs(moved) <= max(MEMORY_SHARE * before.peak_bytes, least):
        return Memory(before.peak_bytes, after.peak_bytes, "same", how)
    return Memory(before.peak_bytes, after.peak_bytes, "more" if moved > 0 else "less", how)
