"""A workload's calls as what is diagnosed: what the code calls today is never left open."""

from __future__ import annotations

from collections.abc import Iterable

from attnprobe.core.diagnosis import Needs, Subject
from attnprobe.workload import Call, Workload

ORDINARY = "sdpa-default"
"""What `scaled_dot_product_attention` takes by itself: the call of who names none."""


def subjects(workload: Workload, calls: Iterable[Call]) -> tuple[Subject, ...]:
    """The calls, duplicates once; layers are left out, since no rule is about them.

    Args:
        workload: Says what the model needs.
        calls: Those that run here.
    """
    needs, step_s = Needs(**workload.needs), workload.step_s
    found = (
        Subject(
            call.case, call.backend or ORDINARY, call.habits, call.calls_per_step, needs, step_s
        )
        for call in calls
        if not call.case.module
    )
    return tuple(dict.fromkeys(found))
