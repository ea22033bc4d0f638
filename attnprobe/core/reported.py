"""What the source of a workload measured, to be shown beside what was measured here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from attnprobe.core.case import Case

Quantity = Literal[
    "fwd_s", "bwd_s", "fwd_bwd_s", "peak_bytes", "fwd_flops", "bwd_flops", "fwd_bwd_flops"
]
"""Seconds of a pass, bytes of peak memory, floating-point operations per second of a pass."""


@dataclass(frozen=True)
class Reported:
    """One number of a source.

    Args:
        case: Name of the case, as in the workload.
        recipe: Which case of that name, whatever device and seed it runs with (`recipe`).
        backend: What the source measured, by our name for it: a backend, or a layer's variant.
        quantity: What was measured.
        value: Seconds, bytes or operations per second; a plain ratio with `over`.
        machine: Where, in the words of the source.
        url: Where the number is to be read.
        over: When it is not empty, `value` says how many times as much of `quantity` this backend
            or variant takes: 5 is "`over` takes five times as much as `backend`".
        method: How the source measured all its numbers, where that hinders a comparison.
        note: What hinders a comparison of this one.
    """

    case: str
    recipe: str
    backend: str
    quantity: Quantity
    value: float
    machine: str
    url: str
    over: str = ""
    method: str = ""
    note: str = ""


def recipe(case: Case) -> str:
    """What a case is, whatever device and seed it was placed on: twelve hex digits."""
    return case.edit(device="", seed=0).id
