"""One screen: what is wrong, or that nothing wrong was found, and the fastest right backends."""

from __future__ import annotations

from attnprobe.core.outcome import Outcome, Refused
from attnprobe.core.report import Report
from attnprobe.core.trial import Record
from attnprobe.known_bugs import QUESTION
from attnprobe.report import plain
from attnprobe.report.compose import reading
from attnprobe.report.compose.broken import REFUSED_BY, cases, describe
from attnprobe.report.compose.costs import costs
from attnprobe.report.compose.fastest import fastest
from attnprobe.report.compose.glyphs import BROKEN, REFUSED, REROUTED, RIGHT, WRONG
from attnprobe.report.compose.symptoms import symptom
from attnprobe.report.document import (
    Block,
    Bullets,
    Inline,
    Note,
    Span,
    code,
    codes,
    line,
)


def summary(report: Report) -> tuple[Block, ...]:
    """The verdict first, then each thing that is wrong in one line, then what to use."""
    return (*findings(report), *fastest(costs(report), reading.wrong_somewhere(report)))


def findings(report: Report) -> tuple[Block, ...]:
    """The verdict first, then each thing that is wrong in one line."""
    blocks: list[Block] = []
    if not report.complete:
        blocks.append(Note("warning", line("The session did not finish: what follows is a part.")))
    blocks += [Note("note", line(text)) for text in report.notes]
    found = (
        *_wrong(report),
        *_broken(report),
        *_false_claims(report),
        *_refused_throughout(report),
        *_rerouted(report),
    )
    blocks.append(_verdict(report, bool(found)))
    if found:
        blocks.append(Bullets(found))
    return tuple(blocks)


def _verdict(report: Report, found: bool) -> Note:
    if report.environment is not None and not report.environment.usable:
        why = report.environment.torch_error or "no reason was recorded"
        return Note("wrong", line(f"torch cannot be imported, so nothing could be run: {why}"))
    wrong = reading.in_state(report.records, WRONG)
    facts = [f.name for f in report.backends if f.fact == "wrong"]
    names = tuple(dict.fromkeys([*(r.trial.backend for r in wrong), *facts]))
    if names:
        return Note("wrong", line("Wrong results from ", *codes(names), "."))
    if found:
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
