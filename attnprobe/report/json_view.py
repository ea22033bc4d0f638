"""The JSON that other tools rely on: its keys are stable from the first release."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from attnprobe import known_bugs
from attnprobe.core.backend_fact import BackendFact
from attnprobe.core.jsonio import encode
from attnprobe.core.outcome import OUTCOME_KINDS, Measured
from attnprobe.core.report import Report
from attnprobe.core.trial import Record
from attnprobe.diagnosis import apart
from attnprobe.report import json_diagnose
from attnprobe.report.compose import reading
from attnprobe.report.compose.costs import costs
from attnprobe.report.compose.longest import longest
from attnprobe.report.compose.reported import Beside, beside
from attnprobe.report.json_profile import along_sweeps, limit, timed
from attnprobe.report.json_trial import parity, trial

Json = dict[str, Any]

_CHECK = ("summary", "trials", "training", "known_bugs")
_PROFILE = ("trials", "scaling", "crossovers", "max_length", "reported")
_DIAGNOSE = ("findings", "best")
_BAD_ENDS = tuple(kind for kind in OUTCOME_KINDS if kind != "measured")


def info(report: Report) -> Json:
    """The machine and every backend, claim beside fact."""
    return {**_head(report), "backends": [_backend(fact) for fact in report.backends]}


def check(report: Report) -> Json:
    """Counts per backend and every comparison."""
    records = (*reading.checks(report), *reading.experiments(report))
    trials = [trial(record) for record in records]
    return {
        **_head(report),
        "summary": _counts(records),
        "trials": trials,
        "training": [trial(record) for record in reading.trainings(report)],
        "known_bugs": [_bug(finding) for finding in known_bugs.findings(report)],
    }


def profile(report: Report) -> Json:
    """Every timed trial in seconds and bytes, with its verdict; what was found along sweeps; limits."""
    return {
        **_head(report),
        "trials": [timed(cost) for same in costs(report).values() for cost in same],
        **along_sweeps(report),
        "max_length": [limit(found) for found in longest(report)],
        "reported": [_reported(pair) for pair in beside(report)],
    }


def diagnose(report: Report) -> Json:
    """Every finding, and the fastest right backend of every call."""
    return {
        **_head(report),
        "findings": json_diagnose.findings(report),
        "best": json_diagnose.best(report),
    }


def full(report: Report) -> Json:
    """All of it in one document."""
    rest = apart(report)
    return {
        **info(report),
        "check": {k: v for k, v in check(rest).items() if k in _CHECK},
        "profile": {k: v for k, v in profile(rest).items() if k in _PROFILE},
        "diagnose": {k: v for k, v in diagnose(report).items() if k in _DIAGNOSE},
    }


def dumps(view: Json) -> str:
    """The view as text; pure ASCII, so that printing it cannot steer a terminal."""
    return json.dumps(view, indent=2, ensure_ascii=True, allow_nan=False)


def _head(report: Report) -> Json:
    environment = encode(report.environment)
    return {
        "schema": report.schema,
        "command": report.command,
        "workload": report.workload,
        "seed": report.seed,
        "started": report.started,
        "seconds": encode(report.seconds),
        "complete": report.complete,
        "notes": list(report.notes),
        "devices": environment.pop("gpus") if environment else [],
        "environment": environment,
    }


def _backend(fact: BackendFact) -> Json:
    encoded: Json = encode(fact)
    return encoded


def _counts(records: Iterable[Record]) -> dict[str, dict[str, int]]:
    keys = ("pass", "fail", "no_power", "none", *_BAD_ENDS)
    counts: dict[str, dict[str, int]] = {}
    for record in records:
        mine = counts.setdefault(record.trial.backend, dict.fromkeys(keys, 0))
        measured = isinstance(record.outcome, Measured)
        mine[parity(record).verdict if measured else record.outcome.kind] += 1
    return counts


def _reported(pair: Beside) -> Json:
    encoded: Json = encode(pair.reported)
    return {**encoded, "here": pair.here, "ratio": pair.ratio, "why": pair.why}


def _bug(finding: known_bugs.Finding) -> Json:
    bug = finding.bug
    return {
        "name": finding.name,
        "title": bug.title,
        "sources": list(bug.sources),
        "reported_for": bug.range,
        "in_range": finding.in_range,
        "affected": finding.answer.affected,
        "reason": finding.answer.reason,
        "way_out": bug.way_out,
        "trials": [trial.id for trial in bug.trials],
    }
