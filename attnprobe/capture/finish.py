"""What the host adds to a capture when the script has ended: the machine, and nobody's name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from attnprobe.capture.load import load
from attnprobe.capture.writing import FACTS
from attnprobe.core.capture import Capture
from attnprobe.core.jsonio import encode
from attnprobe.core.outcome import Outcome, Raised
from attnprobe.info import environment
from attnprobe.info.child import Answered
from attnprobe.redact import Identity, redact_capture


@dataclass(frozen=True)
class _Said:
    data: Any


class _Script:
    """The script's process in the place of a child: it has said what it will."""

    def __init__(self, facts: Mapping[str, Any] | None) -> None:
        self._facts = facts

    def ask(self, message: Mapping[str, Any], deadline_s: float) -> Answered | Outcome:
        """See `info.child.Child`."""
        if self._facts is None:
            return Raised("facts", "NotAsked", "the script's process did not say")
        return _Said(self._facts)


def finish(path: Path, python: str | None) -> Capture:
    """Completes the capture in a file, and writes it back.

    Args:
        path: The file that the script's process wrote.
        python: Its interpreter; None is the one that runs attnprobe.

    Raises:
        SessionError: It holds no capture.
    """
    capture = load(path)
    said = json.loads(path.read_text(encoding="utf-8")).get(FACTS)
    machine = environment.collect(_Script(said), python)
    capture = redact_capture(replace(capture, environment=machine), Identity.of_this_host())
    path.write_text(json.dumps(encode(capture), indent=1) + "\n", encoding="utf-8")
    return capture
