"""Published bugs of attention libraries, each with trials that show whether it is here.

One file per bug: the file is the registration. `known_bugs/cudnn_mask_tail_nan.py` holds one instance
named `BUG` and is called `cudnn-mask-tail-nan`; its docstring says what happens and who is affected.
Version ranges are what reports say; trials decide, because ranges are incomplete and distributions
patch. Everything here is made of records: a session that holds the trials holds the answers.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Collection, Container, Mapping
from dataclasses import dataclass, replace
from functools import cache

from attnprobe.core.backend_fact import Claim
from attnprobe.core.report import Report
from attnprobe.core.trial import Trial
from attnprobe.known_bugs._bug import QUESTION, Answer, KnownBug

__all__ = ["QUESTION", "Answer", "Finding", "KnownBug", "findings", "load", "names", "trials"]


@dataclass(frozen=True)
class Finding:
    """What is known of one bug on this machine.

    Args:
        name: The bug's.
        bug: The bug.
        in_range: Whether the reports name the versions that are here; None when that is not known.
        answer: What the trials say.
    """

    name: str
    bug: KnownBug
    in_range: bool | None
    answer: Answer


@cache
def names() -> tuple[str, ...]:
    """All known bugs."""
    files = (m.name for m in pkgutil.iter_modules(__path__) if m.name[0] != "_")
    return tuple(sorted(name.replace("_", "-") for name in files))


def load(name: str) -> KnownBug:
    """The bug of that name.

    Args:
        name: One of `names()`.
    """
    found: KnownBug = importlib.import_module(f"{__name__}.{name.replace('-', '_')}").BUG
    return found


def trials(device: str, backends: Collection[str] | None = None) -> list[Trial]:
    """What is to be run on a machine; the cases are called as their bugs are.

    Args:
        device: cpu or cuda; with cuda the bugs of CPU kernels are looked for too.
        backends: Only bugs whose suspects are all among these; None is all.
    """
    return [
        replace(trial, case=trial.case.edit(name=name))
        for name, bug in ((name, load(name)) for name in names())
        if backends is None or {suspect.backend for suspect in bug.suspects} <= set(backends)
        for trial in bug.trials
        if trial.case.device in ("cpu", device)
    ]


def findings(report: Report) -> tuple[Finding, ...]:
    """Every known bug that the session looked for, or could not look for here: the affected first."""
    asked = {r.trial.id: r for r in report.records if r.trial.question == QUESTION}
    devices = {r.trial.case.device for r in asked.values()}
    unusable = {fact.name: fact.claim for fact in report.backends if fact.claim.error}
    found = [
        Finding(name, bug, _in_range(bug, report), _answer(bug, report, devices, unusable))
        for name, bug in ((name, load(name)) for name in names())
        if asked and (_device(bug) not in devices or _concerned(bug, asked, unusable))
    ]
    order = ("yes", "cannot tell", "no")
    return tuple(sorted(found, key=lambda finding: order.index(finding.answer.affected)))


def _concerned(bug: KnownBug, asked: Container[str], unusable: Container[str]) -> bool:
    """False where the session was about other backends."""
    return any(trial.id in asked or trial.backend in unusable for trial in bug.suspects)


def _device(bug: KnownBug) -> str:
    return bug.suspects[0].case.device


def _in_range(bug: KnownBug, report: Report) -> bool | None:
    return bug.affected_versions(report.environment) if report.environment else None


def _answer(
    bug: KnownBug, report: Report, devices: Container[str], unusable: Mapping[str, Claim]
) -> Answer:
    claims = [unusable.get(trial.backend) for trial in bug.suspects]
    broken = [claim for claim in claims if claim is not None]
    if len(broken) == len(claims):
        if all(claim.absent for claim in broken):
            return Answer("no", f"not installed: {broken[0].error}")
        return Answer("cannot tell", f"cannot be imported: {broken[0].error}")
    device = _device(bug)
    if device in devices:
        return bug.judge(report.records, unusable)
    if report.environment is not None and not report.environment.gpus:
        return Answer("no", f"it is a bug of {device} kernels, and there is no GPU")
    return Answer("cannot tell", f"it is a bug of {device} kernels, and nothing was run there")
