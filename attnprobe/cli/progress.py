"""How far a run is, on stderr: a bar with the time left on a terminal, now and then a line elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING

from attnprobe.cli.output import say
from attnprobe.core.trial import Record

if TYPE_CHECKING:
    import rich.progress

PATIENCE_S = 2.0
"""A run that ends sooner shows nothing."""
LINE_EVERY_S = 5.0


class Progress:
    """Says how many of how many trials are done.

    Args:
        label: What is being done, for people.
    """

    def __init__(self, label: str) -> None:
        self.label = label
        self.started = self.last_line = time.monotonic()
        self.bar: rich.progress.Progress | None = None

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.bar is not None:
            self.bar.stop()

    def __call__(self, done: int, total: int, record: Record, left_s: float) -> None:
        """`done` of `total` trials have an outcome, the last one is `record`; `left_s` to go."""
        now = time.monotonic()
        if now - self.started < PATIENCE_S:
            return
        if sys.stderr.isatty():
            self._draw(done, total)
        elif now - self.last_line >= LINE_EVERY_S:
            self.last_line = now
            say(f"{self.label}: {done} of {total}, about {left_s:.0f} s left")

    def _draw(self, done: int, total: int) -> None:
        if self.bar is None:
            from rich import progress
            from rich.console import Console

            self.bar = progress.Progress(
                progress.TextColumn("{task.description}"),
                progress.BarColumn(),
                progress.MofNCompleteColumn(),
                progress.TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self.bar.add_task(self.label, total=total)
            self.bar.start()
        self.bar.update(self.bar.task_ids[0], completed=done, total=total)
