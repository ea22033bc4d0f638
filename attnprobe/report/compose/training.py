"""Whether a small model learned with each backend as it does with float32 attention."""

from __future__ import annotations

from attnprobe.core import units
from attnprobe.core.outcome import Measured
from attnprobe.core.report import Report
from attnprobe.core.training import Training
from attnprobe.core.trial import Record
from attnprobe.report.compose import reading
from attnprobe.report.compose.glyphs import state
from attnprobe.report.document import Block, Column, Heading, Inline, Paragraph, Table, code, line

SAMPLES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Where the loss curves are read off, as shares of the run; the JSON has all of them."""


def trainings(report: Report) -> tuple[Block, ...]:
    """One row per backend that was trained with; nothing when none was asked."""
    found = [(r, t) for r in reading.trainings(report) if (t := _training(r)) is not None]
    if not found:
        return ()
    steps = (f"loss at {share:.0%}" for share in SAMPLES)
    columns = (
        Column("backend"),
        Column(""),
        Column("next tokens right", "right"),
        *(Column(name, "right") for name in steps),
        Column("curve / allowed", "right"),
    )
    first = found[0][1]
    null = (line("float32 attention"), line(""), line(""), *_curve(first.null_losses), line(""))
    said = (
        f"A small GPT is trained for {len(first.losses)} steps with each backend, and "
        f"{first.null_runs} times with float32 attention whose results are off by as much as "
        "rounding: their spread is what a loss curve may differ by. 1 is the limit."
    )
    rows = (*(_row(record, training) for record, training in found), null)
    return (Heading("Does a model learn with it?"), Paragraph(line(said)), Table(columns, rows))


def _row(record: Record, training: Training) -> tuple[Inline, ...]:
    return (
        line(code(record.trial.backend)),
        line(state(record.outcome).span),
        line(f"{training.accuracy:.1%}"),
        *_curve(training.losses),
        line(units.factor(max(stretch.ratio for stretch in training.stretches))),
    )


def _curve(losses: tuple[float, ...]) -> tuple[Inline, ...]:
    last = len(losses) - 1
    return tuple(line(f"{losses[round(share * last)]:.3g}") for share in SAMPLES)


def _training(record: Record) -> Training | None:
    return record.outcome.training if isinstance(record.outcome, Measured) else None
