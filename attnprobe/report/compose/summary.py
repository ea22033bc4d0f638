"""One screen: what is wrong, or that nothing wrong was found, and the fastest right backends."""

from __future__ import annotations

from attnprobe.core import units
from attnprobe.core.outcome import Outcome, Refused
from attnprobe.core.report import Report
from attnprobe.core.trial import Record
from attnprobe.known_bugs import QUESTION
from attnprobe.report import plain
from attnprobe.report.compose import reading
from attnprobe.report.compose.broken import REFUSED_BY, cases, describe
from attnprobe.report.compose.glyphs import BROKEN, REFUSED, REROUTED, RIGHT, WRONG, state
from attnprobe.report.compose.symptoms import symptom
from attnprobe.report.compose.timing import fastest, ranked
from attnprobe.report.document import (
    Block,
    Bullets,
    Column,
    Inline,
    Note,
    Span,
    Table,
    code,
    codes,
    line,
)


def summary(report: Report) -> tuple[Block, ...]:
    """The verdict first, then each thing that is wrong in one line, then what to use."""
    blocks: list[Block] = []
    if not report.complete:
        blocks.append(Note("warning", line("The session did not finish: what follows is a part.")))
    blocks += [Note("note", line(text)) for text in report.notes]
    findings = (
        *_wrong(report),
        *_broken(report),
        *_false_claims(report),
        *_refused_throughout(report),
        *_rerouted(report),
    )
    blocks.append(_verdict(report, bool(findings)))
    if findings:
        blocks.append(Bullets(findings))
    if table := _fastest(report):
        blocks.append(table)
    return tuple(blocks)


def _verdict(report: Report, findings: bool) -> Note:
    if report.environment is not None and not report.environment.usable:
        why = report.environment.torch_error or "no reason was recorded"
        return Note("wrong", line(f"torch cannot be imported, so nothing could be run: {why}"))
    wrong = reading.in_state(report.records, WRONG)
    facts = [f.name for f in report.backends if f.fact == "wrong"]
    names = tuple(dict.fromkeys([*(r.trial.backend for r in wrong), *facts]))
    if names:
        return Note("wrong", line("Wrong results from ", *codes(names), "."))
    if findings:
        return Note("warning", line("No wrong result, but not all is as it is claimed."))
    right = reading.in_state(report.records, RIGHT)
    runs = [f for f in report.backends if f.fact == "runs"]
    if not right and not runs:
        return Note("warning", line("Nothing ran, so nothing is known to be right."))
    backends = {r.trial.backend for r in right} or {f.name for f in runs}
    checked = f", right in {len(right)} of {len(report.records)} trials" if right else ""
    return Note("good", line(f"Nothing wrong found: {len(backends)} backends run{checked}."))


def _wrong(report: Report) -> tuple[Inline, ...]:
    found = reading.grouped(reading.in_state(report.records, WRONG), lambda r: r.trial.backend)
    launched = [f for f in report.backends if f.fact == "wrong" and f.name not in found]
    return (
        *(
            line(Span("✗ ", "bad"), code(backend), f" is wrong in {len(same)} trials: {_how(same)}")
            for backend, same in found.items()
        ),
        *(
            line(
                Span("✗ ", "bad"), code(f.name), f" is wrong when launched: {'; '.join(f.reasons)}"
            )
            for f in launched
        ),
    )


def _how(records: list[Record]) -> str:
    """What is wrong, and where, for records that fail alike."""
    alike = reading.grouped(records, symptom)
    return "; ".join(f"{what} ({cases(same, 3)})" for what, same in alike.items())


def _broken(report: Report) -> tuple[Inline, ...]:
    claimed = {f.name for f in report.backends if reading.claims_falsely(f)}
    found = [r for r in reading.in_state(report.records, BROKEN) if r.trial.backend not in claimed]
    causes = reading.grouped(found, lambda r: (r.trial.backend, r.outcome.kind, _phase(r)))
    return tuple(
        line(
            Span("! ", "bad"),
            code(backend),
            f" {_first([describe(r.outcome) for r in same])} ({cases(same, 2)})",
        )
        for (backend, _, _), same in causes.items()
    )


def _phase(record: Record) -> str:
    return getattr(record.outcome, "phase", "")


def _false_claims(report: Report) -> tuple[Inline, ...]:
    false = [f for f in report.backends if reading.claims_falsely(f)]
    causes = reading.grouped(false, lambda f: (f.fact, f.reasons[:1], f.fix))
    return tuple(
        line(
            Span("≠ ", "bad"),
            *codes(f.name for f in same),
            f" {'says' if len(same) == 1 else 'say'}: available. Launched: ",
            Span(fact.replace("_", " "), "bad"),
            f", {_first([r for f in same for r in f.reasons])}.",
            f" Fix: {fix}" if fix else "",
        )
        for (fact, _, fix), same in causes.items()
    )


def _refused_throughout(report: Report) -> tuple[Inline, ...]:
    claimed = {f.name for f in report.backends if reading.claims_falsely(f)}
    ordinary = (r for r in report.records if r.trial.question != QUESTION)
    by_backend = reading.grouped(ordinary, lambda r: r.trial.backend)
    never = {
        backend: [_reason(r.outcome) for r in same]
        for backend, same in by_backend.items()
        if backend not in claimed and len(reading.in_state(same, REFUSED)) == len(same)
    }
    causes = reading.grouped(never, lambda backend: never[backend][0])
    return tuple(
        line(*codes(names), f" ran in no trial: {_first([r for n in names for r in never[n]])}")
        for names in causes.values()
    )


def _reason(outcome: Outcome) -> str:
    match outcome:
        case Refused(by=by, reasons=(first, *_)):
            return f"{REFUSED_BY[by]}: {first}"
        case _:
            return describe(outcome)


def _first(reasons: list[str]) -> str:
    """The first of several reasons, shortened; the details are further down."""
    different = len(set(reasons)) - 1
    more = f" (and {different} more)" if different > 0 else ""
    return plain.short(reasons[0], 240) + more if reasons else "without a reason"


def _rerouted(report: Report) -> tuple[Inline, ...]:
    found = reading.in_state(report.records, REROUTED)
    by_backend = reading.grouped(found, lambda r: r.trial.backend)
    return tuple(
        line(
            Span("» ", "weak"), code(backend), " ran in another kernel than its own: ", cases(same)
        )
        for backend, same in by_backend.items()
    )


def _fastest(report: Report) -> Table | None:
    by_case = reading.grouped(reading.timed(report), lambda r: r.trial.case)
    wrong = {r.trial.backend for r in reading.in_state(report.records, WRONG)}
    # A forward that was timed because its backward was refused has no rivals in its own row.
    whole = [c for c in by_case if c.passes != "fwd" or c.edit(passes="fwd+bwd") not in by_case]
    rows = tuple(_choice(by_case[case], wrong) for case in whole)
    names = ("timed case", "dtype", "fastest right", "pass", "ms", "peak", "remark")
    columns = tuple(Column(n, "right" if n in ("ms", "peak") else "left") for n in names)
    return Table(columns, rows) if rows else None


def _choice(records: list[Record], wrong: set[str]) -> tuple[Inline, ...]:
    case = records[0].trial.case
    best = fastest(records)
    head = (line(reading.case_name(case)), line(reading.dtype(case)))
    if best is None:
        return (*head, line(Span("none", "bad")), line(case.passes), line("-"), line("-"), line())
    cost, memory = reading.cost(best), reading.timing(best)
    assert cost is not None  # fastest() asks for it
    peak = units.size(memory.peak_bytes) if memory and memory.peak_bytes is not None else "-"
    time = units.milliseconds(cost.median, cost.low, cost.high)
    facts = (line(code(best.trial.backend)), line(case.passes), line(time), line(peak))
    return (*head, *facts, _remark(best, records, wrong))


def _remark(best: Record, records: list[Record], wrong: set[str]) -> Inline:
    cost = reading.cost(best)
    assert cost is not None  # fastest() asks for it
    parts = ["wrong in other cases"] if best.trial.backend in wrong else []
    rivals = [(other, reading.cost(other)) for other in ranked(records) if other is not best]
    as_fast = [
        other.trial.backend
        for other, theirs in rivals
        if theirs is not None and state(other.outcome) is RIGHT and theirs.low <= cost.high
    ]
    parts += [f"as fast: {', '.join(as_fast)}"] if as_fast else []
    for other, theirs in rivals:
        if theirs is None:
            continue
        if other.trial.backend == "sdpa-default" and theirs.low > cost.high:
            parts.append(f"sdpa-default takes {units.factor(theirs.median / cost.median)}")
        if state(other.outcome) is WRONG and theirs.median < cost.median:
            parts.append(f"faster but wrong: {other.trial.backend}")
    return line("; ".join(parts))
