"""One trial as JSON: what was asked, what became of it, and the verdict."""

from __future__ import annotations

from typing import Any

from attnprobe.core.jsonio import encode
from attnprobe.core.outcome import Measured
from attnprobe.core.parity import Parity
from attnprobe.core.trial import Record

Json = dict[str, Any]


def trial(record: Record) -> Json:
    """Times are left to `profile`."""
    found = parity(record)
    case = record.trial.case
    outcome: Json = encode(record.outcome)
    return {
        "id": record.trial.id,
        "backend": record.trial.backend,
        "question": record.trial.question,
        "case": {"id": case.id, "label": case.label, **encode(case)},
        "outcome": {k: v for k, v in outcome.items() if k not in ("parity", "timing")},
        **encode(found),
        "phases": encode(record.phases),
    }


def parity(record: Record) -> Parity:
    """The comparison with the reference; `none` where there was none."""
    found = record.outcome.parity if isinstance(record.outcome, Measured) else None
    return found or Parity(verdict="none", contract="")
