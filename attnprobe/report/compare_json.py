"""The JSON of a comparison: its keys are stable from the first release."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from attnprobe.compare.outcomes import standing
from attnprobe.compare.ratios import BETWEEN_SESSIONS
from attnprobe.compare.records import Comparison, Kernels, Pair, Speed
from attnprobe.core.jsonio import encode
from attnprobe.core.report import SCHEMA, Report
from attnprobe.core.statistics import CONFIDENCE
from attnprobe.core.timing import SAME
from attnprobe.core.trial import Record

Json = dict[str, Any]

_DIGITS = 6  # of a ratio; further ones differ from one machine's logarithm to the next


def compare(found: Comparison) -> Json:
    """Times in seconds, memory in bytes; ratios are NEW over OLD."""
    return {
        "schema": SCHEMA,
        "command": "compare",
        "old": _side(found.old),
        "new": _side(found.new),
        "warnings": list(found.warnings),
        "differences": encode(found.differences),
        "statistics": {
            "ratios": found.ratios,
            "family_wise_error": round(1.0 - CONFIDENCE, 12),
            "confidence_each": found.confidence,
            "same": {"in_turns": SAME, **BETWEEN_SESSIONS},
        },
        "summary": _summary(found),
        "trials": [_pair(pair) for pair in found.pairs],
        "only_old": _alone(found.only_old),
        "only_new": _alone(found.only_new),
    }


def _side(report: Report) -> Json:
    return {
        "command": report.command,
        "workload": report.workload,
        "seed": report.seed,
        "started": report.started,
        "complete": report.complete,
        "trials": len(report.records),
        "notes": list(report.notes),
    }


def _summary(found: Comparison) -> Json:
    changes = Counter(pair.change for pair in found.pairs)
    speeds = Counter(speed.verdict for pair in found.pairs for speed in pair.speeds)
    peaks = Counter(pair.memory.verdict for pair in found.pairs if pair.memory)
    return {
        "outcomes": {"unchanged": changes.pop("none", 0), **changes},
        "times": {name: speeds[name] for name in ("faster", "slower", "indistinguishable")},
        "memory": {name: peaks[name] for name in ("less", "more", "same")},
        "kernels_changed": sum(pair.kernels is not None for pair in found.pairs),
        "not_compared": sum(len(pair.withheld) for pair in found.pairs),
        "only_old": len(found.only_old),
        "only_new": len(found.only_new),
    }


def _pair(pair: Pair) -> Json:
    trial = pair.new.trial
    return {
        "id": trial.id,
        "old_id": pair.old.trial.id,
        "backend": trial.backend,
        "question": trial.question,
        "case": {"id": trial.case.id, "label": trial.case.label, "name": trial.case.name},
        "change": pair.change,
        "was": standing(pair.old.outcome),
        "is": standing(pair.new.outcome),
        "times": {speed.field: _speed(speed) for speed in pair.speeds},
        "peak_bytes": encode(pair.memory),
        "kernels": _kernels(pair.kernels),
        "withheld": list(pair.withheld),
    }


def _speed(speed: Speed) -> Json:
    return {
        "old": speed.old_s,
        "new": speed.new_s,
        "ratio": round(speed.ratio.median, _DIGITS),
        "low": round(speed.ratio.low, _DIGITS),
        "high": round(speed.ratio.high, _DIGITS),
        "rounds": speed.ratio.rounds,
        "in_turns": speed.paired,
        "verdict": speed.verdict,
    }


def _kernels(found: Kernels | None) -> Json | None:
    return None if found is None else {**encode(found)}


def _alone(records: Iterable[Record]) -> list[Json]:
    return [
        {"id": r.trial.id, "backend": r.trial.backend, "case": r.trial.case.label} for r in records
    ]
