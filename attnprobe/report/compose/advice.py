"""The fastest backend that is right for each call here, and what stands against the others."""

from __future__ import annotations

from collections.abc import Sequence

from attnprobe import diagnosis
from attnprobe.core import units
from attnprobe.core.diagnosis import Best
from attnprobe.core.report import Report
from attnprobe.report import plain
from attnprobe.report.document import (
    Block,
    Bullets,
    Column,
    Folded,
    Heading,
    Inline,
    Note,
    Span,
    Table,
    code,
    line,
)


def advice(report: Report) -> tuple[Block, ...]:
    """A row for each call; nothing where nobody was timed."""
    found = [best for best in diagnosis.best(report) if best.backend or best.passed]
    if not found:
        return ()
    names = ("call", "today", "ms", "fastest right", "ms", "speed-up", "memory saved")
    right = ("ms", "speed-up", "memory saved")
    columns = tuple(Column(name, "right" if name in right else "left") for name in names)
    return (
        Heading("The fastest backend that is right here", 2),
        Table(columns, tuple(map(_row, found))),
        *_how(found),
        *_remarks(found),
        *_passed(found),
    )


def _row(best: Best) -> tuple[Inline, ...]:
    subject = best.subject
    now = line(code(subject.backend), *([Span(" (fails)", "bad")] if best.now_is else []))
    if not best.backend:
        nobody = Span("cannot tell", "weak") if best.untimed else Span("none", "bad")
        return (line(subject.where), now, _ms(best.now_s), line(nobody), *3 * (line("-"),))
    same = best.backend == subject.backend and best.speedup is None and not subject.habits
    return (
        line(subject.where),
        now,
        _ms(best.now_s),
        line(Span("it is", "good")) if same else line(code(best.backend)),
        _ms(best.best_s),
        line(_speedup(best)),
        line(_saved(best)),
    )


def _ms(seconds: float | None) -> Inline:
    return line("-" if seconds is None else units.number(seconds * 1e3))


def _speedup(best: Best) -> str:
    found = best.speedup
    if found is None:
        return "-"
    return "none" if found.low <= 1.0 <= found.high else units.factor(found.median)


def _saved(best: Best) -> str:
    saved = best.saves_bytes
    if saved is None or saved == 0:
        return "-"
    return units.size(saved) if saved > 0 else f"takes {units.size(-saved)} more"


def _how(found: Sequence[Best]) -> tuple[Block, ...]:
    """How the advised is called, and the interval of what that is worth."""
    changed = [best for best in found if best.backend and best.speedup is not None]
    return (Bullets(tuple(map(_call, changed))),) if changed else ()


def _call(best: Best) -> Inline:
    gain = best.speedup
    assert gain is not None  # its caller has looked
    low, high = units.factor(gain.low), units.factor(gain.high)
    form = f", the mask as {best.form}" if best.form else ""
    worth = f": {units.factor(gain.median)} [{low}, {high}] of today's speed"
    return line(f"{best.subject.where}: ", code(best.backend), form, worth)


def _remarks(found: Sequence[Best]) -> tuple[Block, ...]:
    """What is wrong today, and what was not asked of the advised."""
    wrong = [b for b in found if b.now_is]
    unasked = [b for b in found if b.unasked and b.backend]
    return (
        *(
            Note("wrong", line(code(b.subject.where), f" today: {plain.short(b.now_is, 200)}"))
            for b in wrong
        ),
        *(
            Note(
                "warning",
                line(
                    code(b.backend), f" was not asked for: {', '.join(b.unasked)} (time was over)"
                ),
            )
            for b in unasked
        ),
    )


def _passed(found: Sequence[Best]) -> tuple[Block, ...]:
    rows = tuple(
        (line(best.subject.where), line(code(passed.backend)), line(plain.short(passed.why, 160)))
        for best in found
        for passed in best.passed
    )
    if not rows:
        return ()
    columns = tuple(map(Column, ("call", "backend", "why not")))
    return (Folded(f"Not advised: {len(rows)}", (Table(columns, rows),), long=True),)
