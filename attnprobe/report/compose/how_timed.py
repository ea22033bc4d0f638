"""Under what conditions times and memory were taken: each said once, and which numbers are withheld."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from attnprobe.core.cost import FLOPS_TEXT
from attnprobe.core.report import Report
from attnprobe.core.timing import Timing
from attnprobe.core.trial import Record
from attnprobe.report.compose import reading, sweeps
from attnprobe.report.compose.broken import cases
from attnprobe.report.compose.costs import ByCase
from attnprobe.report.compose.machine_meanwhile import meanwhile
from attnprobe.report.compose.scaling import METHOD
from attnprobe.report.document import (
    Block,
    Bullets,
    Column,
    Folded,
    Heading,
    Inline,
    Table,
    codes,
    line,
)


def how_timed(report: Report, by_case: ByCase) -> tuple[Block, ...]:
    """Clock, cache, target, limits, the formula, and every remark and gap with its backends."""
    timings = [(r, t) for r in reading.timed(report) if (t := reading.timing(r)) and t.clock]
    if not timings:
        return ()
    weighed = [cost.memory for same in by_case.values() for cost in same]
    facts = [
        ("clock", (t.clock for _, t in timings)),
        ("cache before each call", (t.cache for _, t in timings)),
        ("interval aimed at", (_target(t) for _, t in timings)),
        ("memory", (t.memory for t in weighed)),
        ("measured limits of this device", (t.rates.text for _, t in timings if t.rates)),
    ]
    said = [line(f"{name}: {text}") for name, texts in facts if (text := _each(texts))]
    if machine := meanwhile(t.conditions for _, t in timings if t.conditions):
        said.append(line(f"the machine meanwhile: {machine}"))
    share = "of limit: max(FLOP / matmul rate, bytes that must move / copy rate) / time"
    swept, _ = sweeps.find(by_case)
    grown = [line(METHOD)] if any(sweep.field.length for sweep in swept) else []
    return (
        Heading("How it was measured"),
        Bullets((*said, line(share), line(f"FLOP: {FLOPS_TEXT}"), *grown)),
        *_grouped("Remarks", timings, lambda timing: timing.notes),
        *_grouped("Withheld numbers", timings, lambda timing: timing.withheld),
    )


def _target(timing: Timing) -> str:
    return "" if timing.target_ci is None else f"±{100 * timing.target_ci:g}%"


def _each(texts: Iterable[str]) -> str:
    """What differs in more than numbers, the most common first."""
    alike = reading.grouped(filter(None, texts), _without_numbers)
    common = sorted(alike.values(), key=lambda same: -len(same))
    counts = [f" ({len(same)} trials)" if len(alike) > 1 else "" for same in common]
    return "; ".join(
        same[0] + (" or alike" if len(set(same)) > 1 else "") + count
        for same, count in zip(common, counts, strict=True)
    )


_PASS = re.compile(r"^\w+_s: ")
_NUMBER = re.compile(r"\d+(?:\.\d+)?(?:e-?\d+)?")


def _without_numbers(text: str) -> str:
    return _NUMBER.sub("", _PASS.sub("", text))


def _grouped(
    title: str, timings: list[tuple[Record, Timing]], read: Callable[[Timing], tuple[str, ...]]
) -> tuple[Block, ...]:
    """Each text once, with whom it concerns."""
    found = [(text, record) for record, timing in timings for text in read(timing)]
    if not found:
        return ()
    alike = reading.grouped(found, lambda pair: _without_numbers(pair[0]))
    rows = tuple(_row(same) for same in alike.values())
    columns = (Column("what"), Column("backend"), Column("in"))
    return (Folded(f"{title}: {len(rows)}", (Table(columns, rows),)),)


def _row(same: list[tuple[str, Record]]) -> tuple[Inline, ...]:
    """The first of texts that differ in the pass and in numbers alone."""
    texts = [text for text, _ in same]
    passes = dict.fromkeys(text.partition(": ")[0] for text in texts if _PASS.match(text))
    words = _PASS.sub("", texts[0]) + (
        " (or alike)" if len(set(texts)) > max(1, len(passes)) else ""
    )
    backends = dict.fromkeys(record.trial.backend for _, record in same)
    said = f"{', '.join(passes)}: {words}" if passes else words
    return line(said), codes(backends), line(cases([record for _, record in same]))
