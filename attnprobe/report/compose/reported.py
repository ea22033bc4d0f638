"""What a workload's sources reported, beside what was measured here."""

from __future__ import annotations

from dataclasses import dataclass

from attnprobe.core import units
from attnprobe.core.outcome import Measured
from attnprobe.core.report import Report
from attnprobe.core.reported import Reported, recipe
from attnprobe.core.timing import Duration, Timing
from attnprobe.core.trial import Record
from attnprobe.report.compose import reading
from attnprobe.report.compose.broken import describe
from attnprobe.report.compose.glyphs import WRONG, state
from attnprobe.report.document import (
    Block,
    Column,
    Heading,
    Inline,
    Note,
    Paragraph,
    Span,
    Table,
    code,
    line,
)


@dataclass(frozen=True)
class Beside:
    """A reported number and ours.

    Args:
        reported: The source's.
        here: Ours, in the same unit; None when there is none.
        why: Why there is none, or what is to be known of it.
    """

    reported: Reported
    here: float | None
    why: str = ""

    @property
    def ratio(self) -> float | None:
        """Ours over theirs."""
        return None if self.here is None else self.here / self.reported.value


def beside(report: Report) -> tuple[Beside, ...]:
    """Every reported number about a case that ran, with what was measured of the same backend."""
    found: dict[tuple[str, str], Record] = {}
    for record in report.records if report.reported else ():
        if record.trial.question in ("time", "compare"):
            found.setdefault((recipe(record.trial.case), record.trial.backend), record)
    ran = {shape for shape, _ in found}
    return tuple(_beside(one, found) for one in report.reported if one.recipe in ran)


def reported(report: Report) -> tuple[Block, ...]:
    """A table for each source; nothing when the workload's sources reported nothing."""
    if not report.reported:
        return ()
    pairs = beside(report)
    blocks: list[Block] = [
        Heading("What the sources reported"),
        Paragraph(line("Another machine, other versions and mostly another way of measuring.")),
    ]
    sources = reading.grouped(pairs, lambda pair: (pair.reported.machine, pair.reported.url))
    for (machine, url), same in sources.items():
        methods = dict.fromkeys(pair.reported.method for pair in same if pair.reported.method)
        said = f" ({'; '.join(methods)})" if methods else ""
        blocks.append(Paragraph(line(Span(machine, "strong"), f", {url}{said}")))
        blocks.append(_table(same))
    if left := len(report.reported) - len(pairs):
        ran = {pair.reported.case for pair in pairs}
        cases = dict.fromkeys(one.case for one in report.reported if one.case not in ran)
        names = f": {', '.join(cases)}" if cases else ""
        said = f"{left} of {len(report.reported)} are about cases that did not run{names}"
        blocks.append(Note("note", line(said)))
    return tuple(blocks)


def _table(pairs: list[Beside]) -> Table:
    columns = (
        *(Column(name) for name in ("case", "backend", "what")),
        *(Column(name, "right") for name in ("reported", "here", "here / reported")),
        Column("remark"),
    )
    return Table(columns, tuple(map(_row, pairs)))


def _beside(one: Reported, found: dict[tuple[str, str], Record]) -> Beside:
    values, remarks = list[float](), list[str]()
    for backend in filter(None, (one.backend, one.over)):
        record = found.get((one.recipe, backend))
        value = _value(record, one) if record else None
        if record and state(record.outcome) is WRONG:
            remarks.append(f"{backend} is wrong here")
        if value is None:
            return Beside(one, None, f"{backend}: {_why(record, one)}")
        values.append(value)
    ours = values[0] if len(values) == 1 else values[1] / values[0]
    return Beside(one, ours, "; ".join(remarks))


def _value(record: Record, one: Reported) -> float | None:
    timing = reading.timing(record) or Timing()
    if one.quantity == "peak_bytes":
        return timing.peak_bytes or None
    of_pass, _, unit = one.quantity.rpartition("_")
    spent: Duration | None = getattr(timing, f"{of_pass}_s")
    if spent is None or not spent.median:
        return None
    if unit == "s":
        return spent.median
    return None if spent.tflops is None else spent.tflops * 1e12


def _why(record: Record | None, one: Reported) -> str:
    if record is None:
        return "not run"
    if not isinstance(record.outcome, Measured):
        return describe(record.outcome)
    withheld = (reading.timing(record) or Timing()).withheld
    pass_s = one.quantity.removesuffix("_flops").removesuffix("_s") + "_s"
    return next((text for text in withheld if text.startswith(f"{pass_s}:")), "not measured")


def _row(pair: Beside) -> tuple[Inline, ...]:
    one = pair.reported
    remark = "; ".join(filter(None, (pair.why, one.note)))
    return (
        line(one.case),
        line(*((code(one.over), " / ") if one.over else ()), code(one.backend)),
        line(_WHAT[one.quantity]),
        line(_text(one, one.value)),
        line("-" if pair.here is None else _text(one, pair.here)),
        line("-" if pair.ratio is None else units.factor(pair.ratio)),
        line(Span(remark, "weak")),
    )


_WHAT = {
    "fwd_s": "fwd",
    "bwd_s": "bwd",
    "fwd_bwd_s": "fwd+bwd",
    "peak_bytes": "peak",
    "fwd_flops": "fwd rate",
    "bwd_flops": "bwd rate",
    "fwd_bwd_flops": "fwd+bwd rate",
}


def _text(one: Reported, value: float) -> str:
    if one.over:
        return units.factor(value)
    if one.quantity == "peak_bytes":
        return units.size(value)
    return units.seconds(value) if one.quantity.endswith("_s") else units.rate(value)
