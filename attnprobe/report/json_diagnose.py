"""Findings and advice as JSON; the keys are stable from the first release."""

from __future__ import annotations

from typing import Any

from attnprobe import diagnosis
from attnprobe.core.diagnosis import Best, Finding
from attnprobe.core.jsonio import encode
from attnprobe.core.report import Report

Json = dict[str, Any]


def findings(report: Report) -> list[Json]:
    """Every suspicion and what became of it: the worst first."""
    return [_finding(found) for found in diagnosis.findings(report)]


def best(report: Report) -> Json:
    """The advice by the id of its case."""
    return {
        advice.subject.case.id: _best(advice)
        for advice in diagnosis.best(report)
        if advice.backend or advice.passed
    }


def _finding(found: Finding) -> Json:
    suspicion = found.suspicion
    subject = suspicion.subject
    return {
        "code": suspicion.code,
        "name": suspicion.name,
        "title": suspicion.title,
        "severity": suspicion.severity,
        "verdict": found.verdict,
        "reason": found.reason,
        "where": subject.where,
        "case": {"id": subject.case.id, "label": subject.case.label},
        "backend": subject.backend,
        "habits": list(subject.habits),
        "why": suspicion.why,
        "prediction": encode(suspicion.prediction) if suspicion.prediction else None,
        "measured": encode(found.effect) if found.effect else None,
        "saves_s": found.saves_s,
        "saves_gpu_s": found.saves_gpu_s,
        "saves_bytes": found.saves_bytes,
        "fix": suspicion.fix,
        "remedy": encode(found.remedy) if found.remedy else None,
        "references": list(suspicion.references),
        "trials": list(found.trials),
    }


def _best(advice: Best) -> Json:
    found: Json = encode(advice)
    del found["subject"]
    return {"where": advice.subject.where, "today": advice.subject.backend, **found}
