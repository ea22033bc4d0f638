"""What is wrong with a workload, how that is known, what the fix is, and what it is worth."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from attnprobe import diagnosis
from attnprobe.core import units
from attnprobe.core.diagnosis import Finding, Remedy, Verdict
from attnprobe.core.report import Report
from attnprobe.diagnosis.judge import UNRUN, span
from attnprobe.report import plain
from attnprobe.report.compose import reading
from attnprobe.report.document import (
    Block,
    Bullets,
    Code,
    Column,
    Folded,
    Heading,
    Inline,
    Note,
    Paragraph,
    Span,
    Table,
    Tone,
    code,
    codes,
    line,
)

REASON = 240
"""Characters of what a library says; the session has all of it."""

SEVERITY: dict[str, Tone] = {"critical": "bad", "high": "bad", "medium": "weak", "low": "muted"}


def findings(report: Report) -> tuple[Block, ...]:
    """Confirmed ones in full, the others folded by verdict; nothing where nothing was looked into."""
    if not report.subjects:
        return ()
    found = diagnosis.findings(report)
    by_verdict = reading.grouped(found, lambda finding: finding.verdict)
    confirmed = by_verdict.get("confirmed", [])
    blocks: list[Block] = [Heading("Findings", 2), _verdict(report, by_verdict)]
    if confirmed:
        blocks.append(_table(confirmed))
        blocks += _of_a_step(confirmed)
    if sum(bool(finding.saves_s) for finding in confirmed) > 1:
        blocks.append(Paragraph(line("Each saving is of that fix alone: they do not add up.")))
    if any(
        (f.saves_gpu_s or 0.0) - (f.saves_s or 0.0) > 0.02 * (f.saves_s or 0.0) for f in confirmed
    ):
        said = (
            "Where two savings stand, the first is that of a loop of such calls, in which the GPU "
        )
        said += (
            "waits for the host; the second is that of a step whose other work keeps the GPU busy."
        )
        blocks.append(Paragraph(line(said)))
    for same in reading.grouped(confirmed, lambda finding: finding.suspicion.code).values():
        blocks += _in_full(same)
    undecided = by_verdict.get("inconclusive", [])
    refuted = by_verdict.get("refuted", [])
    untested = by_verdict.get("would_test", [])
    if undecided:
        blocks.append(Folded(_count("Undecided", undecided), (_reasons(undecided),)))
    if refuted:
        blocks.append(
            Folded(_count("Suspected, tested and refuted", refuted), (_reasons(refuted),))
        )
    if untested:
        title = "Would be tested" if len(untested) == len(found) else "Not tested"
        blocks.append(Folded(_count(title, untested), (_predictions(untested),)))
    return tuple(blocks)


def _count(title: str, found: Sequence[Finding]) -> str:
    return f"{title}: {len(found)}"


def _verdict(report: Report, by_verdict: dict[Verdict, list[Finding]]) -> Note:
    counts = {verdict: len(found) for verdict, found in by_verdict.items()}
    calls = units.counted(len(report.subjects), "call")
    if not counts:
        return Note("good", line(f"Nothing is suspected of {calls}."))
    confirmed = by_verdict.get("confirmed", [])
    parts = [
        f"{counts[verdict]} {word}"
        for verdict, word in (
            ("confirmed", "confirmed"),
            ("inconclusive", "undecided"),
            ("refuted", "refuted"),
            ("would_test", "not tested"),
        )
        if verdict in counts
    ]
    said = f"{units.counted(sum(counts.values()), 'suspicion')} about {calls}: {', '.join(parts)}."
    if not confirmed:
        return Note("good" if counts.keys() == {"refuted"} else "note", line(said))
    codes = len({finding.suspicion.code for finding in confirmed})
    return Note("wrong", line(f"{units.counted(codes, 'pitfall')} proven here. {said}"))


def _of_a_step(confirmed: Sequence[Finding]) -> list[Block]:
    """What the savings are a share of, where a script was seen."""
    steps = (finding.suspicion.subject.step_s for finding in confirmed)
    step_s = next((seconds for seconds in steps if seconds is not None), None)
    most = max((f.saves_gpu_s or 0.0 for f in confirmed), default=0.0)
    if step_s is None or most <= 0:
        return []
    said = f"One step of the script took {units.seconds(step_s)}: the largest saving is "
    said += f"{units.share(most / step_s)} of it at most. A script whose GPU waits for its host "
    said += "elsewhere gains less."
    return [Paragraph(line(said))]


def _table(found: Sequence[Finding]) -> Table:
    names = ("", "pitfall", "where", "seen", "saves a step", "memory")
    right = ("saves a step", "memory")
    columns = tuple(Column(name, "right" if name in right else "left") for name in names)
    return Table(columns, tuple(map(_row, found)))


def _row(finding: Finding) -> tuple[Inline, ...]:
    suspicion = finding.suspicion
    return (
        line(Span(suspicion.code, SEVERITY[suspicion.severity], code=True)),
        line(suspicion.name),
        line(suspicion.subject.where),
        line(_brief(finding)),
        line(_saved_s(finding)),
        line(_saved_bytes(finding)),
    )


def _brief(finding: Finding) -> str:
    prediction, effect = finding.suspicion.prediction, finding.effect
    if prediction is None or effect is None:
        return finding.reason
    match prediction.quantity:
        case "wrong":
            return "wrong result"
        case "refused":
            return "does not run"
        case "memory" if math.isinf(effect.low):
            return "does not fit"
        case "time" | "wall" | "time-per-sequence" | "memory" | "first-call":
            return f"{units.factor(effect.median)} {prediction.quantity}"
        case "kernel":
            return effect.words
        case "value":
            return f"{prediction.of} = {units.number(effect.median)}"


def _saved_s(finding: Finding) -> str:
    """Between what a loop of such calls gains and what the GPU does, where launching sets the pace."""
    loop, gpu = finding.saves_s, finding.saves_gpu_s
    if loop is None or gpu is None or max(loop, gpu) <= 0:
        return "-"
    least, most = max(0.0, min(loop, gpu)), max(loop, gpu)
    if most - least < 0.02 * most:
        return units.seconds(most)
    return (
        f"{units.seconds(least)} to {units.seconds(most)}" if least else f"to {units.seconds(most)}"
    )


def _saved_bytes(finding: Finding) -> str:
    saved = finding.saves_bytes
    return units.size(saved) if saved is not None and saved > 0 else "-"


def _in_full(same: Sequence[Finding]) -> list[Block]:
    """One pitfall: what happens, the evidence of each call, the fix as code, its own measurement."""
    suspicion = same[0].suspicion
    blocks: list[Block] = [
        Heading(f"{suspicion.code} ({suspicion.severity}) {suspicion.title}", 3),
        Bullets(_alike((_evidence(f), f) for f in same)),
        Paragraph(line("Fix:")),
        Code(suspicion.fix, "python"),
    ]
    remedies = _alike((_remedied(f.remedy), f) for f in same if f.remedy is not None)
    if remedies:
        blocks.append(Bullets(remedies))
    page = line("More: ", code(f"attnprobe explain {suspicion.code}"), "; ")
    blocks.append(Paragraph((*page, Span(", ".join(suspicion.references), "muted"))))
    return blocks


def _alike(said: Iterable[tuple[str, Finding]]) -> tuple[Inline, ...]:
    """One line for all calls of which the same is to be said."""
    wheres = reading.grouped(said, lambda pair: pair[0])
    return tuple(
        (*codes(f.suspicion.subject.where for _, f in pairs), Span(f": {text}"))
        for text, pairs in wheres.items()
    )


def _evidence(finding: Finding) -> str:
    return f"{finding.suspicion.why}. {evidence(finding)}"


def evidence(finding: Finding) -> str:
    """`predicted 5-20x, measured 15.4x [15.1, 15.6], 0.955 ms -> 0.062 ms`."""
    prediction, effect = finding.suspicion.prediction, finding.effect
    if prediction is None or effect is None:
        return finding.reason
    said = f"Predicted {predicted(finding)}"
    if math.isinf(effect.low):
        return f"{said}; seen: {effect.words}"
    match prediction.quantity:
        case "time" | "wall" | "time-per-sequence" | "first-call":
            numbers = _arrow(effect.treatment, effect.control, units.seconds)
        case "memory":
            numbers = _arrow(effect.treatment, effect.control, units.size)
        case _:
            return f"{said}; seen: {plain.short(finding.reason, REASON)}"
    low, high = units.factor(effect.low), units.factor(effect.high)
    interval = f" [{low}, {high}]" if effect.low != effect.high else ""
    more = " (more than predicted)" if effect.low > prediction.high else ""
    waits = f" (the host takes {units.seconds(effect.launch_s)})" if effect.launch_s else ""
    return f"{said}, measured {units.factor(effect.median)}{interval}{more}{numbers}{waits}"


def predicted(finding: Finding) -> str:
    """`5-20x time (because)`."""
    prediction = finding.suspicion.prediction
    assert prediction is not None  # its callers have looked
    words = {
        "wrong": "a wrong result",
        "refused": "that it does not run",
        "kernel": f"kernels like {prediction.of}",
        "value": f"{prediction.of} of {span(prediction)}",
    }
    said = words.get(prediction.quantity, f"{span(prediction)} {prediction.quantity}")
    return f"{said} ({prediction.because})"


def _arrow(before: float | None, after: float | None, unit: object) -> str:
    if before is None or after is None or not callable(unit):
        return ""
    return f", {unit(before)} -> {unit(after)}"


def _remedied(remedy: Remedy) -> str:
    verified = {True: "run here", False: "NOT a fix here", None: "not run"}[remedy.verified]
    return f"the fix was {verified}: {plain.short(remedy.words, REASON)}"


def _reasons(found: Sequence[Finding]) -> Bullets:
    return Bullets(
        tuple(
            (
                *_named(f),
                Span(evidence(f) if f.verdict == "refuted" else plain.short(f.reason, REASON)),
            )
            for f in found
        )
    )


def _predictions(found: Sequence[Finding]) -> Bullets:
    return Bullets(
        tuple(
            (
                *_named(f),
                Span(f"{f.suspicion.why}. "),
                Span(f"Predicted {predicted(f)}. " if f.suspicion.prediction else ""),
                Span(f.reason if f.reason != UNRUN else "", "muted"),
            )
            for f in found
        )
    )


def _named(finding: Finding) -> Inline:
    suspicion = finding.suspicion
    tone = SEVERITY[suspicion.severity]
    return line(
        Span(suspicion.code, tone, code=True),
        f" {suspicion.name} ({suspicion.severity}), {suspicion.subject.where}: ",
    )
