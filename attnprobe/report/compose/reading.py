"""What a Report says, as questions with one answer each: no words, no layout."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import replace
from typing import TypeVar

from attnprobe.core.backend_fact import BackendFact
from attnprobe.core.case import Case
from attnprobe.core.outcome import Measured
from attnprobe.core.report import Report
from attnprobe.core.timing import Duration, Timing
from attnprobe.core.trial import Record
from attnprobe.device import laboratory
from attnprobe.report.compose.glyphs import WRONG, State, state

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)

DTYPES = {"float64": "fp64", "float32": "fp32", "bfloat16": "bf16", "float16": "fp16"}


def checks(report: Report) -> tuple[Record, ...]:
    """Trials that asked whether a backend is right."""
    return tuple(r for r in report.records if r.trial.question == "check")


def experiments(report: Report) -> tuple[Record, ...]:
    """Trials that asked an experiment of the laboratory."""
    return tuple(r for r in report.records if r.trial.question in laboratory.names())


def trainings(report: Report) -> tuple[Record, ...]:
    """Trials that asked whether a model learns with a backend."""
    return tuple(r for r in report.records if r.trial.question == "training")


def wrong_somewhere(report: Report) -> set[str]:
    """Backends that gave a wrong result in any trial."""
    return {r.trial.backend for r in in_state(report.records, WRONG)}


def judged(report: Report) -> Report:
    """The report without the trials that look for a limit or a ratio: they may fail, and say so."""
    kept = (r for r in report.records if r.trial.question not in ("fits", "compare"))
    return replace(report, records=tuple(kept))


def timed(report: Report) -> tuple[Record, ...]:
    """Trials that asked what a backend costs."""
    return tuple(r for r in report.records if r.trial.question == "time")


def grouped(items: Iterable[T], key: Callable[[T], K]) -> dict[K, list[T]]:
    """Items by key, in order of first appearance."""
    found: dict[K, list[T]] = {}
    for item in items:
        found.setdefault(key(item), []).append(item)
    return found


def in_state(records: Iterable[Record], *states: State) -> list[Record]:
    """Records whose outcome is one of these."""
    return [r for r in records if state(r.outcome) in states]


def case_name(case: Case) -> str:
    """What people call the case; its dtype is told apart."""
    return case.name or shape(case)


def shape(case: Case) -> str:
    """The label of the case without its dtype: `B2 H8/2 M512x1024 K64 causal(align=top-left)`."""
    return " ".join(case.edit(dtype="").label.split())


def dtype(case: Case) -> str:
    """Short name of the element type."""
    return DTYPES.get(case.dtype, case.dtype)


def dtypes(report: Report) -> tuple[str, ...]:
    """Short names of all element types that were asked for, widest first."""
    asked = {r.trial.case.dtype for r in report.records}
    asked |= {launch.dtype for fact in report.backends for launch in fact.launches}
    known = [name for name in DTYPES if name in asked]
    return tuple(DTYPES.get(n, n) for n in (*known, *sorted(asked - set(known))))


def backend_names(report: Report) -> tuple[str, ...]:
    """Every backend, in the order of the backend list and then of appearance."""
    names = [f.name for f in report.backends] + [r.trial.backend for r in report.records]
    return tuple(dict.fromkeys(names))


def claims_falsely(fact: BackendFact) -> bool:
    """True when a backend says that it is available and no launch of it ran."""
    return fact.claim.available is True and fact.fact not in ("runs", "wrong", "not_run")


def contradicts(fact: BackendFact) -> bool:
    """True when claim and fact disagree, whichever way."""
    denied = fact.claim.available is False and fact.fact in ("runs", "wrong")
    return denied or claims_falsely(fact)


def timing(record: Record) -> Timing | None:
    """What the trial cost, when it was measured."""
    return record.outcome.timing if isinstance(record.outcome, Measured) else None


def cost(record: Record) -> Duration | None:
    """The duration by which backends are ranked: all that the case asks for, else the forward."""
    found = timing(record)
    if found is None:
        return None
    match record.trial.case.passes:
        case "fwd":
            return found.fwd_s
        case "bwd":
            return found.bwd_s
        case _:
            return found.fwd_bwd_s
