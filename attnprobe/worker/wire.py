"""JSON lines over file descriptors; the same code at both ends."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

_CHUNK = 1 << 16


def send(descriptor: int, message: Mapping[str, Any]) -> None:
    """Writes one message as one line.

    Raises:
        BrokenPipeError: The other end is gone.
    """
    data = memoryview((json.dumps(message) + "\n").encode())
    while data:
        data = data[os.write(descriptor, data) :]


class Receiver:
    """The messages that arrive on a descriptor.

    Attributes:
        descriptor: What is read from.
        ended: True when the other end has closed it.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor, self.ended, self._buffer = descriptor, False, b""

    def read(self) -> None:
        """Takes in what has arrived; waits when nothing has."""
        try:
            chunk = os.read(self.descriptor, _CHUNK)
        except ConnectionResetError:
            chunk = b""
        self.ended = self.ended or not chunk
        self._buffer += chunk

    def take(self) -> dict[str, Any] | None:
        """The next whole message, or None.

        Raises:
            ValueError: The line is no JSON object.
        """
        line, newline, rest = self._buffer.partition(b"\n")
        if not newline:
            return None
        self._buffer = rest
        message = json.loads(line)
        if not isinstance(message, dict):
            raise ValueError(  # noqa: TRY004 - no JSON and no object are one mistake to the caller
                f"expected a JSON object, got {line[:80]!r}"
            )
        return message

    def next(self) -> dict[str, Any] | None:
        """Waits for the next message; None when the other end has closed."""
        while (message := self.take()) is None and not self.ended:
            self.read()
        return message


class Tail:
    """The end of what arrives on a descriptor; the rest is forgotten, so printing cannot fill anything.

    Attributes:
        descriptor: What is read from.
        ended: True when every writer has closed it.
    """

    def __init__(self, descriptor: int, keep: int = 8192) -> None:
        self.descriptor, self.ended, self._keep, self._kept = descriptor, False, keep, b""

    def read(self) -> None:
        """Takes in what has arrived; waits when nothing has."""
        chunk = os.read(self.descriptor, _CHUNK)
        self.ended = self.ended or not chunk
        self._kept = (self._kept + chunk)[-self._keep :]

    def forget(self) -> None:
        """Drops what was kept: a new trial begins."""
        self._kept = b""

    @property
    def text(self) -> str:
        """What is kept, undecodable bytes replaced."""
        return self._kept.decode(errors="replace").strip()
