"""Trials that ended badly or in another kernel, grouped by cause."""

from __future__ import annotations

from collections.abc import Iterable

from attnprobe.core import units
from attnprobe.core.outcome import (
    Crashed,
    Measured,
    Outcome,
    OutOfMemory,
    Raised,
    Refused,
    TimedOut,
)
from attnprobe.core.trial import Record
from attnprobe.report.compose import reading
from attnprobe.report.compose.glyphs import BROKEN, REROUTED
from attnprobe.report.document import (
    Block,
    Bullets,
    Code,
    Column,
    Folded,
    Heading,
    Span,
    Table,
    code,
    line,
)

REFUSED_BY = {
    "library": "the library refuses",
    "attnprobe": "attnprobe knows no way",
    "memory": "would not fit",
    "absent": "not installed",
    "broken": "cannot be imported",
}


def describe(outcome: Outcome) -> str:
    """One sentence: what became of a trial that was not measured."""
    match outcome:
        case Measured(form=form):
            return f"measured ({form})" if form else "measured"
        case Refused(by=by, reasons=reasons):
            return f"{REFUSED_BY[by]}: {'; '.join(reasons) or 'no reason given'}"
        case Raised(phase=phase, type=kind, message=message, sticky=sticky):
            lost = " (the device context was lost with it)" if sticky else ""
            return f"raised {kind} in {phase}: {message}{lost}"
        case Crashed(phase=phase, signal=signal, exit_code=status):
            how = f"killed by {signal}" if signal else f"exited with status {status}"
            return f"crashed in {phase}: {how}"
        case TimedOut(phase=phase, limit_s=limit):
            return f"timed out in {phase} after {units.seconds(limit)}"
        case OutOfMemory(phase=phase, message=message):
            return f"out of memory in {phase}: {message}"


def broken(records: Iterable[Record]) -> tuple[Block, ...]:
    """What raised, crashed, hung or ran out of memory; stacks are folded."""
    found = reading.in_state(records, BROKEN)
    if not found:
        return ()
    causes = reading.grouped(found, lambda r: (r.trial.backend, describe(r.outcome)))
    columns = (Column("backend"), Column("what happened"), Column("in"), Column("first trial"))
    rows = tuple(
        (line(code(backend)), line(words), line(cases(same)), line(code(same[0].trial.id)))
        for (backend, words), same in causes.items()
    )
    stacks = tuple(
        block
        for (backend, _), same in causes.items()
        if (tail := _tail(same[0].outcome))
        for block in (Heading(f"{backend}, trial {same[0].trial.id}", 4), Code(tail, "text"))
    )
    folded = (Folded("Stacks and standard error", stacks),) if stacks else ()
    return (Heading("Broken trials", 3), Table(columns, rows), *folded)


def rerouted(records: Iterable[Record]) -> tuple[Block, ...]:
    """Backends whose trials ran in another kernel than the one that was asked for."""
    found = reading.in_state(records, REROUTED)
    if not found:
        return ()
    causes = reading.grouped(
        found,
        lambda r: (
            r.trial.backend,
            r.outcome.unexpected_kernel if isinstance(r.outcome, Measured) else "",
        ),
    )
    items = tuple(
        line(Span("» ", "weak"), code(backend), f": {why} (", cases(same), ")")
        for (backend, why), same in causes.items()
    )
    return (Heading("Another kernel ran", 3), Bullets(items))


def cases(records: list[Record], most: int = 3) -> str:
    """Which cases some trials are about, by dtypes: `bf16 fp16: causal, none and 5 more`."""
    by_case = reading.grouped(records, lambda r: reading.case_name(r.trial.case))
    by_dtypes = reading.grouped(
        by_case,
        lambda name: " ".join(dict.fromkeys(reading.dtype(r.trial.case) for r in by_case[name])),
    )
    return "; ".join(f"{dtypes}: {_some(names, most)}" for dtypes, names in by_dtypes.items())


def _some(names: list[str], most: int) -> str:
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")


def _tail(outcome: Outcome) -> str:
    match outcome:
        case Raised(where=tail) | Crashed(stderr_tail=tail) | TimedOut(stack=tail):
            return tail
        case _:
            return ""
