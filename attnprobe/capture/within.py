"""Capturing a part of a running program: a notebook's cell, a test, one function."""

from __future__ import annotations

import os
from contextlib import ContextDecorator
from types import TracebackType

from attnprobe.capture.install import Installation
from attnprobe.capture.recorder import Recorder
from attnprobe.capture.writing import Writer
from attnprobe.core.capture import Capture


class Within(ContextDecorator):
    """`with attnprobe.capture("run.json") as seen:`, or `@attnprobe.capture("run.json")`.

    Afterwards `seen.capture` is the record and `print(seen)` shows the table; the file is what
    `attnprobe diagnose` and `check` take. Names that were imported before are watched, too, where a
    module holds them; a closure's or an attribute's copy of a function is not.

    Args:
        path: Where the capture goes; None writes no file.
        steps: Record so many optimizer steps; None is all.
        timing: Whether forward and backward of every call are timed.
    """

    def __init__(
        self, path: str | None = None, *, steps: int | None = None, timing: bool = False
    ) -> None:
        self._path, self._steps, self._timing = path, steps, timing
        self.capture = Capture()

    def __enter__(self) -> Within:
        self._recorder = Recorder(os.getcwd(), self._steps, None, self._timing)
        self._installation = Installation(self._recorder)
        self._writer = Writer(self._recorder, self._installation, self._path, "notebook")
        self._recorder.flush = self._writer.flush
        self._installation.begin()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._installation.end()
        self._writer.ended = kind.__name__ if kind is not None else "exit 0"
        self._writer.finish()
        self.capture = self._writer.capture()

    def __str__(self) -> str:
        from attnprobe.report import terminal
        from attnprobe.report.compose.capture import capture

        return terminal.text(capture(self.capture))
