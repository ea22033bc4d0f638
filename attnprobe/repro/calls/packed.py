"""cu_seqlens and windows as source. See device/lowering/packed.py and band.py."""

from __future__ import annotations

from itertools import accumulate

from attnprobe.core.case import Case
from attnprobe.device.lowering.band import Band, bottom_right
from attnprobe.errors import UsageError


def starts(case: Case) -> tuple[list[int], list[int], int, int]:
    """cu_seqlens of queries and keys (slots of Mkv where keys lie in slots), and the longest of each."""
    q, kv = [s.Mq for s in case.sequences], [s.Mkv for s in case.sequences]
    slots = [case.Mkv] * case.B if case.storage == "packed-padded-keys" else kv
    return [0, *accumulate(q)], [0, *accumulate(slots)], max(q), max(kv)


def band(case: Case) -> Band:
    """The case's window, counted from the bottom-right corner.

    Raises:
        UsageError: It has none, so that the library was never called.
    """
    found = bottom_right(case)
    if isinstance(found, str):
        raise UsageError("the library was never called", why=found)
    return found
