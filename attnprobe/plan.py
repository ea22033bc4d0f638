"""What is to be run, cases x backends -> trials, and what its records amount to."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from difflib import get_close_matches

from attnprobe import known_bugs
from attnprobe.core.case import Case
from attnprobe.core.outcome import Measured, Refused
from attnprobe.core.report import Report
from attnprobe.core.trial import Record, Trial
from attnprobe.device import laboratory, modules
from attnprobe.errors import UsageError
from attnprobe.workload import Call, Workload


def trials(
    calls: Iterable[Call], backends: Iterable[str], question: str | None = None
) -> list[Trial]:
    """Every case with every backend, case by case: the child computes a case's reference once.

    Args:
        calls: The cases and what each asks.
        backends: Names; a case that names a layer is asked of all variants of that layer instead.
        question: Asked of all of them, instead of what they ask themselves.
    """
    names = tuple(backends)
    return [
        Trial(call.case, backend, asked)
        for call in calls
        for backend in (modules.variants(call.case.module) if call.case.module else names)
        for asked in ((question,) if question else call.ask)
    ]


_BACKWARD = re.compile(r"backward|gradient|inference|training|requires_grad", re.IGNORECASE)
"""What a refusal says when the forward alone might have run."""


def forward_alone(record: Record) -> tuple[Trial, ...]:
    """The same call without its backward, when only the backward was refused."""
    trial, outcome = record.trial, record.outcome
    if trial.question in ("training", known_bugs.QUESTION):
        return ()  # a forward alone is no answer to these
    if trial.case.passes == "fwd" or not isinstance(outcome, Refused):
        return ()
    if outcome.by not in ("library", "attnprobe") or not all(
        map(_BACKWARD.search, outcome.reasons)
    ):
        return ()
    return (replace(trial, case=trial.case.edit(passes="fwd")),)


def choose(
    workload: Workload, masks: Iterable[str], dtypes: Iterable[str], only: Iterable[str] = ()
) -> Workload:
    """The part of a workload that the user asked for.

    Args:
        workload: All of it.
        masks: Names of cases; what no case is called is a mask's family or spelling. None is all.
        dtypes: Element types; none is all.
        only: Questions, or kinds of failure that they find; none is all.

    Raises:
        UsageError: A name that no case answers to, or nothing is left.
    """
    cases = workload.cases
    masks, dtypes, only = frozenset(masks), frozenset(dtypes), frozenset(only)
    named = {case.name for case in cases}
    _known("mask", masks, named.union(*map(_masks, cases)))
    _known("dtype", dtypes, {case.dtype for case in cases})
    asked = {asked for call in workload.calls for asked in call.ask}
    questions = {laboratory.question(name) for name in only}
    _known("question", frozenset(n for n in only if laboratory.question(n) not in asked), asked)
    calls = tuple(
        replace(call, ask=ask)
        for call in workload.calls
        if (not masks or call.case.name in masks or (masks - named) & _masks(call.case))
        and (not dtypes or call.case.dtype in dtypes)
        and (ask := tuple(name for name in call.ask if not only or name in questions))
    )
    if not calls:
        raise UsageError(
            f"no case of {workload.name} is left",
            why="no case has all of what was asked for",
            fix="ask for fewer things at once, or leave out --mask, --dtype or --only",
        )
    return replace(workload, calls=calls)


def reshape(workload: Workload, shape: str) -> Workload:
    """Every case at one shape: the same masks, scores, layouts and numbers, other lengths.

    Cases with lengths of their own are left out, and those that the shape does not allow.

    Args:
        workload: Its cases.
        shape: `B,Hq,Hkv,Mq,Mkv,K`.

    Raises:
        UsageError: Not six positive integers, or a shape that no case can have.
    """
    parts = [part.strip() for part in shape.split(",")]
    if len(parts) != len(_DIMS) or not all(part.isdecimal() and int(part) for part in parts):
        raise UsageError(
            f"--shape {shape[:60]!r} is not a shape", fix=f"six integers: {','.join(_DIMS)}"
        )
    dims = dict(zip(_DIMS, map(int, parts), strict=True))
    edited = [
        replace(call, case=call.case.edit(**dims, Kv=dims["K"]))
        for call in workload.calls
        if call.case.lengths is None
    ]
    calls = tuple(call for call in edited if not call.case.problems)
    if not calls:
        problems = dict.fromkeys(text for call in edited for text in call.case.problems)
        raise UsageError(f"no case can have the shape {shape}", why="; ".join(problems))
    return replace(workload, calls=calls)


_DIMS = ("B", "Hq", "Hkv", "Mq", "Mkv", "K")


def place(workload: Workload, device: str, seed: int) -> tuple[Call, ...]:
    """The calls of a workload that are meant for a device.

    Raises:
        UsageError: There are none.
    """
    calls = workload.on(device, seed).calls
    if not calls:
        others = sorted({case.device for case in workload.cases})
        raise UsageError(
            f"no case of {workload.name} is meant for {device}",
            why=f"its cases are for {', '.join(others)}",
            fix=f"--device {others[0]}, or `device: auto` in the workload",
        )
    return calls


def plain(calls: Iterable[Call]) -> tuple[Call, ...]:
    """The calls with normal inputs in plain memory that ask whether a result is right.

    What a first report checks: every mask and score. Awkward inputs, layouts and experiments are
    `attnprobe check`'s.
    """
    return tuple(
        call
        for call in calls
        if "check" in call.ask and call.case.family == "normal" and call.case.layout == "BHMK"
    )


def is_wrong(record: Record) -> bool:
    """True when a backend ran and was wrong."""
    outcome = record.outcome
    return (
        isinstance(outcome, Measured)
        and outcome.parity is not None
        and outcome.parity.verdict == "fail"
    )


def to_reproduce(report: Report) -> str:
    """Id of the first wrong trial that `attnprobe repro` makes a script of; empty for none."""
    wrong = (record.trial for record in report.records if is_wrong(record))
    return next((trial.id for trial in wrong if not trial.case.module), "")


def verdict(report: Report) -> int:
    """The exit code of a run that ended: 1 for a wrong result or a published bug, else 0.

    A library's backend may raise or crash: that is an answer about this machine. A callable that the
    user named himself (`FILE.py:FUNC`) is his to mend, so that anything but a refusal counts.
    """
    wrong = any(map(is_wrong, report.records))
    bugs = (finding.answer.affected for finding in known_bugs.findings(report))
    own = (record.outcome for record in report.records if ":" in record.trial.backend)
    broken = any(not isinstance(outcome, Measured | Refused) for outcome in own)
    return int(wrong or broken or "yes" in bugs)


def _masks(case: Case) -> set[str]:
    """A case's mask as it is spelled, and the families in it."""
    return {case.mask.text, *(term.partition("(")[0].strip() for term in case.mask.text.split("&"))}


def _known(what: str, asked: frozenset[str], known: set[str]) -> None:
    for name in sorted(asked):
        if name not in known:
            near = get_close_matches(name, known, n=3) or sorted(known)
            raise UsageError(
                f"no case has the {what} {name[:60]!r}", fix=f"did you mean {', '.join(near)}?"
            )
