"""Trials that ended otherwise than before: wrong, right, refused, broken, or running at last."""

from __future__ import annotations

from attnprobe.compare.outcomes import standing
from attnprobe.compare.records import Change, Comparison, Pair
from attnprobe.report import plain
from attnprobe.report.compose import reading
from attnprobe.report.compose.broken import cases, describe
from attnprobe.report.compose.glyphs import BROKEN, REFUSED, RIGHT, UNCHECKED, WRONG, State
from attnprobe.report.compose.symptoms import symptom
from attnprobe.report.document import Block, Column, Heading, Inline, Span, Table, code, line

WORDS: dict[Change, str] = {
    "newly_wrong": "newly wrong",
    "newly_broken": "newly broken",
    "newly_refused": "newly refused",
    "otherwise": "failing otherwise",
    "newly_runs": "newly running",
    "newly_right": "newly right",
}
"""Worst first."""

_STATES: dict[str, State] = {
    "right": RIGHT,
    "unproven": UNCHECKED,
    "wrong": WRONG,
    "refused": REFUSED,
    "broken": BROKEN,
}
_LENGTH = 240


def outcomes(found: Comparison) -> tuple[Block, ...]:
    """One row per backend, kind of change and reason; the cases of each row beside it."""
    changed = [pair for pair in found.pairs if pair.change != "none"]
    if not changed:
        return ()
    changed.sort(key=lambda pair: list(WORDS).index(pair.change))
    alike = reading.grouped(changed, lambda p: (p.change, p.new.trial.backend, _story(p)))
    columns = ("what", "backend", "was", "is", "in", "first trial")
    rows = tuple(
        (
            line(Span(WORDS[change], "bad" if change in _WORSE else "plain")),
            line(code(backend)),
            was,
            now,
            line(cases([pair.new for pair in same])),
            line(code(same[0].new.trial.id)),
        )
        for (change, backend, (was, now)), same in alike.items()
    )
    return (Heading("What ended otherwise"), Table(tuple(map(Column, columns)), rows))


_WORSE = ("newly_wrong", "newly_broken", "newly_refused")


def _story(pair: Pair) -> tuple[Inline, Inline]:
    return _side(pair, "old"), _side(pair, "new")


def _side(pair: Pair, side: str) -> Inline:
    record = pair.old if side == "old" else pair.new
    where = standing(record.outcome)
    state = _STATES[where]
    words = {"right": "right", "unproven": "ran, not compared"}.get(where, "")
    if where == "wrong":
        words = f"wrong: {symptom(record)}"
    said = words or plain.short(describe(record.outcome), _LENGTH)
    return line(Span(f"{state.glyph} ", state.tone), said)
