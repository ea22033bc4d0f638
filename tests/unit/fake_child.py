"""A worker whose answers a test writes down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from attnprobe.core.jsonio import encode
from attnprobe.core.outcome import Outcome


@dataclass(frozen=True)
class Said:
    """A stand-in for worker.host.Answer."""

    data: Any


@dataclass
class FakeChild:
    """Answers by backend name; keeps the deadlines it was given."""

    replies: Mapping[str, Any]
    deadlines: dict[str, float] = field(default_factory=dict)

    def ask(self, message: Mapping[str, Any], deadline_s: float) -> Said | Outcome:
        name = message.get("backends", [message["do"]])[0]
        self.deadlines[name] = deadline_s
        reply = self.replies[name]
        if isinstance(reply, Exception):
            raise reply
        return reply if isinstance(reply, Outcome) else Said(encode(reply))
