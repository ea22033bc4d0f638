"""The recorder's state as a record in a file, now and then while the script runs and at its end."""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Iterable
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from attnprobe.core.capture import Capture, Gap
from attnprobe.core.jsonio import encode

if TYPE_CHECKING:
    from attnprobe.capture.install import Installation
    from attnprobe.capture.recorder import Recorder

FACTS = "facts"
"""Key of what the script's torch says of the machine, which the host makes an Environment of."""

EVERY_S = 10.0
"""A script may be killed at any time; so much of it is lost at most, and less at its beginning."""


class Writer:
    """Writes the capture of a recorder.

    Attributes:
        ended: How the script ended.

    Args:
        recorder: What is written.
        installation: Asked for times that are still on their way.
        path: Where to; None writes nothing.
        script: What the capture calls the script.
    """

    def __init__(
        self, recorder: Recorder, installation: Installation, path: str | None, script: str
    ) -> None:
        self._recorder, self._installation, self._script = recorder, installation, script
        self._path = os.path.abspath(path) if path else None
        self._pid, self.ended = os.getpid(), ""
        self._pause_s = 0.5
        self._next = time.monotonic() + self._pause_s
        self._started = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")

    def flush(self) -> None:
        """Writes what is known without waiting for the device, if it is time for that."""
        try:
            self._installation.settle(wait=False)
        except Exception as error:  # noqa: BLE001 - a device that has failed is the script's to meet
            self._recorder.gap("times of calls", error)
        if time.monotonic() < self._next:
            return
        self._pause_s = min(EVERY_S, 1.5 * self._pause_s)
        self._next = time.monotonic() + self._pause_s
        self._write(wait=False)

    def finish(self) -> None:
        """Writes everything; does nothing in a forked child."""
        if os.getpid() != self._pid:
            return
        self._recorder.on = False
        with contextlib.suppress(Exception):  # a device that has failed gives no times
            self._installation.settle(wait=True)
        self._write(wait=True)

    def capture(self, wait: bool = True) -> Capture:
        """The record."""
        recorder, torch = self._recorder, sys.modules.get("torch")
        if torch is not None:
            from attnprobe.capture.calls import calls

            found = calls(recorder, wait)
        else:
            found = ()
        world = int(os.environ.get("WORLD_SIZE") or 1)
        return Capture(
            script=self._script,
            calls=found,
            gaps=tuple(Gap(what, why, n) for (what, why), n in recorder.gaps.items()),
            steps=recorder.steps,
            step_s=_step_s(recorder.stamps),
            seconds=time.perf_counter() - recorder.started,
            recompiles=tuple(recorder.recompiles.items()),
            timing=recorder.timing,
            ended=self.ended,
            python=platform.python_version(),
            torch=str(getattr(torch, "__version__", "")),
            rank=int(os.environ["RANK"]) if world > 1 and "RANK" in os.environ else None,
            world_size=world,
            started=self._started,
        )

    def _write(self, wait: bool) -> None:
        """Whole or not at all: a reader never finds half a file."""
        if self._path is None:
            return
        try:
            content = encode(self.capture(wait))
            if wait and (said := _facts()) is not None:
                content[FACTS] = said
            text = json.dumps(content, indent=1)
            part = f"{self._path}.part"
            with open(part, "w", encoding="utf-8") as file:
                file.write(text + "\n")
            os.replace(part, self._path)
        except Exception as error:  # noqa: BLE001 - the script's end is its own
            self._recorder.gap("writing the capture", error)
            if wait:
                print(f"attnprobe: no capture was written: {error}", file=sys.__stderr__)


def _facts() -> dict[str, Any] | None:
    """What a live torch says (device/facts.py); GPUs that the script never touched stay untouched."""
    torch = sys.modules.get("torch")
    if torch is None or (torch.version.cuda and not torch.cuda.is_initialized()):
        return None
    from attnprobe.device.facts import facts

    return facts()


def rank_path(path: str) -> str:
    """Under torchrun, a file per rank: `run.json` is `run.rank0.json`."""
    if int(os.environ.get("WORLD_SIZE") or 1) == 1 or "RANK" not in os.environ:
        return path
    stem, dot, suffix = path.rpartition(".")
    rank = f"rank{os.environ['RANK']}"
    return f"{stem}.{rank}.{suffix}" if dot and os.sep not in suffix else f"{path}.{rank}"


def _step_s(stamps: Iterable[float]) -> float | None:
    """Median seconds between steps; the first of them compiles and allocates, and is left out."""
    spans = [later - earlier for earlier, later in pairwise(stamps)]
    return statistics.median(spans[1:]) if len(spans) > 1 else None
