"""What one process has recorded so far, and whether it goes on."""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections import Counter, deque
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any

from attnprobe.capture.aside import is_ours

if TYPE_CHECKING:
    from attnprobe.capture.tally import Tally

_MOST_TALLIES = 2000
"""Distinct calls that are kept apart: a script whose shapes never repeat must not fill the memory."""


_STAMPS = 1000
"""Steps of which the time is kept."""

_CALLS = 256
"""Calls after which it is time to look whether something should be written."""


class Stop(SystemExit):
    """`--stop-after` is reached: the script ends as if it had called `sys.exit(0)`."""


def _nothing() -> None: ...


class _Thread(threading.local):
    """What each thread has of its own."""

    def __init__(self) -> None:
        self.open: list[Any] = []


class Recorder:
    """Tallies, gaps and steps.

    Attributes:
        on: Whether anything is recorded; false after `steps` steps and in forked children.
        tallies: By what makes calls alike.
        gaps: What was missed, by (what, why), with counts.
        steps: Optimizer steps while recording.
        stamps: When they ended, on `time.perf_counter()`.
        recompiles: By function, how often torch.compile compiled it again.
        flush: Called at the end of a step, and after some calls where there are no steps.
        when_off: Called when recording ends.
        looked_s: Seconds spent on looking closely.
        sees_kernels: Whether fused operators say when they run.

    Args:
        root: The script's folder.
        steps: Record so many optimizer steps; None is all.
        stop_after: End the script after so many; None is never.
        timing: Whether calls are timed.
    """

    def __init__(
        self,
        root: str,
        steps: int | None = None,
        stop_after: int | None = None,
        timing: bool = False,
    ) -> None:
        self.root, self.timing = root, timing
        self.limit, self.stop_after = steps, stop_after
        self.on = True
        self.tallies: dict[Hashable, Tally] = {}
        self.gaps: Counter[tuple[str, str]] = Counter()
        self.steps = 0
        self.stamps: deque[float] = deque(maxlen=_STAMPS)
        self._calls = 0
        self.recompiles: Counter[str] = Counter()
        self.flush: Callable[[], None] = lambda: None
        self.when_off: list[Callable[[], None]] = []
        self.looked_s = 0.0
        self.sees_kernels = False
        self.started = time.perf_counter()
        self._stepped: Counter[int] = Counter()
        self._all_steps = 0
        self._thread = _Thread()
        forked = weakref.WeakMethod(self._forked)  # what is registered stays for ever
        os.register_at_fork(after_in_child=lambda: (forked() or _nothing)())

    def _forked(self) -> None:
        """DataLoader workers and the like: what they do is no step of the script."""
        self.on = False

    @property
    def listening(self) -> bool:
        """Whether a call that begins now is recorded: not those that another one makes."""
        return self.on and not self._thread.open and not is_ours()

    @property
    def open(self) -> list[Any]:
        """The calls that are running in this thread, the innermost last."""
        return self._thread.open

    def tally(self, key: Hashable, make: Callable[[], Tally]) -> Tally | None:
        """The tally of calls that are alike; None when there are too many different ones."""
        found = self.tallies.get(key)
        if found is None:
            if len(self.tallies) >= _MOST_TALLIES:
                self.gap("further distinct calls", f"more than {_MOST_TALLIES} were met")
                return None
            found = self.tallies[key] = make()
        return found

    def gap(self, what: str, why: str | BaseException) -> None:
        """Something was missed; never raises."""
        if isinstance(why, BaseException):
            why = f"{type(why).__name__}: {(str(why).splitlines() or [''])[0][:200]}"
        self.gaps[what, why] += 1

    def called(self) -> None:
        """A call has ended: scripts without an optimizer have no other moments to write at."""
        self._calls += 1
        if self._calls % _CALLS == 0:
            self.flush()

    def stepped(self, optimizer: object) -> None:
        """An optimizer has stepped; with several, the busiest counts.

        Raises:
            Stop: It was the last step that was asked for.
        """
        self._stepped[id(optimizer)] += 1
        if self._stepped[id(optimizer)] <= self._all_steps:
            return
        self._all_steps += 1
        if self.on:
            self.steps += 1
            self.stamps.append(time.perf_counter())
            self.flush()
            if self.limit is not None and self.steps >= self.limit:
                self.off()
        if self.stop_after is not None and self._all_steps >= self.stop_after:
            raise Stop(0)

    def off(self) -> None:
        """Nothing is recorded from now on."""
        self.on = False
        for action in self.when_off:
            action()
