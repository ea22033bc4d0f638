"""Runs searches for the longest sequence: each asks one trial after the other until it knows."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

from attnprobe import session
from attnprobe.probe.system import available_bytes
from attnprobe.profiling.longest import Search
from attnprobe.survey import Survey
from attnprobe.worker.host import Worker

LABEL = "longest sequence that fits"

DEADLINE_S = {"cuda": 30.0, "cpu": 15.0}
"""Seconds that one trial of a search may take: two passes, at least half of them in vain."""

SHARE_OF_MEMORY = 0.8
"""Of the memory that is available, when the most that fits is sought on a CPU."""


def seek(
    survey: Survey, searches: Sequence[Search], device: str, budget_s: float | None = None
) -> None:
    """Runs what each search asks for, until none asks for more or the time is over.

    Args:
        survey: Where everything is kept.
        searches: One after the other.
        device: cpu or cuda.
        budget_s: Seconds after which nothing further is begun; the session notes what was left.
    """
    began = time.monotonic()
    survey.crew.rest()
    with _bounded(survey, device) as worker, survey.progress(LABEL) as progress:
        for done, search in enumerate(searches):
            while (trial := search.next()) is not None:
                spent = time.monotonic() - began
                if budget_s is not None and spent >= budget_s:
                    left = len(searches) - done
                    survey.journal.note(f"{left} searches ({LABEL}) were cut short")
                    return
                for record in session.run(
                    [trial], worker, survey.journal, deadline_s=DEADLINE_S[device]
                ):
                    search.tell(record)
                    left_s = spent / (done + 0.5) * (len(searches) - done - 0.5)
                    progress(done, len(searches), record, left_s)


def _bounded(survey: Survey, device: str) -> AbstractContextManager[Worker]:
    """A worker whose children cannot take all memory; on CUDA the allocator sees to that.

    Running out ends as a refused allocation, and not with the kernel killing something.
    """
    available = available_bytes()
    if device != "cpu" or available is None:
        return nullcontext(survey.worker)
    return Worker(survey.python, memory_limit_bytes=int(SHARE_OF_MEMORY * available))
