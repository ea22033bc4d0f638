"""What became of everything between two sessions, in one screen."""

from __future__ import annotations

from math import exp, log
from statistics import median

from attnprobe.compare.ratios import BETWEEN_SESSIONS
from attnprobe.compare.records import Change, Comparison, Pair, Speed, Verdict
from attnprobe.core import units
from attnprobe.core.statistics import CONFIDENCE
from attnprobe.core.timing import SAME
from attnprobe.report.compose import reading
from attnprobe.report.compose.compare_outcomes import WORDS
from attnprobe.report.document import (
    Block,
    Bullets,
    Heading,
    Inline,
    Note,
    Paragraph,
    Span,
    Tone,
    code,
    line,
)

_BAD: tuple[Change, ...] = ("newly_wrong", "newly_broken", "newly_refused")
_DIRECTIONS: tuple[tuple[Verdict, Tone], ...] = (("slower", "bad"), ("faster", "good"))


def summary(found: Comparison) -> tuple[Block, ...]:
    """The verdict first, then each backend that changed in one line, then how it was decided."""
    changes = (*_outcomes(found), *_speeds(found), *_memory(found))
    blocks: list[Block] = [Heading("What changed")]
    blocks += [Note("warning", line(text)) for text in found.warnings]
    blocks.append(_verdict(found, bool(changes)))
    if changes:
        blocks.append(Bullets(changes))
    blocks.append(Paragraph(line(Span(_how(found), "muted"))))
    return tuple(blocks)


def _verdict(found: Comparison, changed: bool) -> Note:
    worse = _worse(found)
    if worse:
        return Note("wrong", line(f"NEW is worse: {', '.join(worse)}."))
    if changed:
        return Note("good", line("Nothing is worse in NEW; what changed:"))
    return Note(
        "good",
        line(f"Nothing changed in {units.counted(len(found.pairs), 'trial')} that both ran."),
    )


def _worse(found: Comparison) -> list[str]:
    """What is worse, in words with its number."""
    counts = {change: sum(p.change == change for p in found.pairs) for change in _BAD}
    words = [f"{count} {WORDS[change]}" for change, count in counts.items() if count]
    slower = sum(s.verdict == "slower" for p in found.pairs for s in p.speeds)
    more = sum(p.memory is not None and p.memory.verdict == "more" for p in found.pairs)
    words += [f"{slower} of {units.counted(found.ratios, 'time')} slower"] if slower else []
    return words + ([f"{units.counted(more, 'peak')} higher"] if more else [])


def _outcomes(found: Comparison) -> tuple[Inline, ...]:
    changed = [pair for pair in found.pairs if pair.change != "none"]
    changed.sort(key=lambda pair: [*WORDS].index(pair.change))
    by_change = reading.grouped(changed, lambda pair: (pair.change, pair.new.trial.backend))
    return tuple(
        line(
            code(backend),
            " ",
            Span(WORDS[change], "bad" if change in _BAD else "good"),
            f" in {len(same)} of {units.counted(_asked(found, backend), 'trial')}",
        )
        for (change, backend), same in by_change.items()
    )


def _asked(found: Comparison, backend: str) -> int:
    return sum(pair.new.trial.backend == backend for pair in found.pairs)


def _speeds(found: Comparison) -> tuple[Inline, ...]:
    """Per backend and direction: how many times moved, and by how much."""
    by_backend = reading.grouped(
        ((p.new.trial.backend, s) for p in found.pairs for s in p.speeds), lambda item: item[0]
    )
    items = []
    for backend, all_of_it in by_backend.items():
        speeds = [speed for _, speed in all_of_it]
        for verdict, tone in _DIRECTIONS:
            moved = [speed for speed in speeds if speed.verdict == verdict]
            if moved:
                items.append(_moved(backend, verdict, tone, moved, len(speeds)))
    return tuple(items)


def _moved(backend: str, verdict: str, tone: Tone, moved: list[Speed], of: int) -> Inline:
    ratios = [speed.ratio.median for speed in moved]
    typical = exp(median(map(log, ratios)))
    ends = percent(min(ratios)), percent(max(ratios))
    spread = f", {ends[0]} to {ends[1]}" if ends[0] != ends[1] else ""
    return line(
        code(backend),
        " ",
        Span(verdict, tone),
        f" in {len(moved)} of {units.counted(of, 'time')}: {percent(typical)}{spread}",
    )


def _memory(found: Comparison) -> tuple[Inline, ...]:
    moved = reading.grouped(
        (p for p in found.pairs if p.memory is not None and p.memory.verdict != "same"),
        lambda p: (p.new.trial.backend, p.memory.verdict if p.memory else ""),
    )
    return tuple(
        line(
            code(backend),
            " takes ",
            Span(f"{verdict} memory", "bad" if verdict == "more" else "good"),
            f" in {units.counted(len(same), 'trial')}: {_largest(same)}",
        )
        for (backend, verdict), same in moved.items()
    )


def _largest(pairs: list[Pair]) -> str:
    peaks = [pair.memory for pair in pairs if pair.memory is not None]
    most = max(peaks, key=lambda memory: abs(memory.new - memory.old))
    return f"{units.size(most.new)} for {units.size(most.old)}"


def _how(found: Comparison) -> str:
    """How a difference is told from chance, in a few sentences."""
    speeds = [speed for pair in found.pairs for speed in pair.speeds]
    if not speeds:
        return "No time can be compared."
    words = [
        f"{found.ratios} ratios of times were looked at together; each has an interval of "
        f"{100 * found.confidence:.4g}% so that all of them hold in {CONFIDENCE:.0%} (Bonferroni)."
    ]
    if any(speed.paired for speed in speeds):
        words.append(f"OLD and NEW took turns: differences within {SAME:.1%} count as none.")
    if not all(speed.paired for speed in speeds):
        gpu, cpu = BETWEEN_SESSIONS["cuda"], BETWEEN_SESSIONS["cpu"]
        words.append(
            f"Between two runs differences within {gpu:.0%} (CPU: {cpu:.0%}) count as none, because "
            "no interval of one run shows them."
        )
    return " ".join([*words, "Memory is counted, not sampled."])


def percent(ratio: float) -> str:
    """A ratio as a change: `+3.2%`, `-12%`; factors from a doubling on: `2.1x`."""
    if ratio >= 2.0:
        return units.factor(ratio)
    change = 100 * (ratio - 1.0)
    return f"{change:+.0f}%" if abs(change) >= 10 else f"{change:+.1f}%"


def colour(verdict: Verdict) -> Tone:
    """What a verdict's word says once more."""
    return dict(_DIRECTIONS).get(verdict, "muted")
