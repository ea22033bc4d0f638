"""Results held against the reference, told in an experiment's own words."""

from __future__ import annotations

from dataclasses import replace

from attnprobe.core.parity import Failure
from attnprobe.device import reference
from attnprobe.device.inputs import Inputs, Outputs
from attnprobe.device.laboratory import Skipped
from attnprobe.device.numerics.conventions import judge_under
from attnprobe.device.subject import Subject

ACCURACY = ("accuracy", "nonfinite", "leak", "empty_rows")
"""Kinds that say "other numbers than the reference's"; the rest (a missing gradient, a shape) speaks
for itself."""


def failures(
    subject: Subject,
    outputs: Outputs,
    inputs: Inputs,
    truth: reference.Reference,
    contract: str = "",
) -> tuple[Failure, ...]:
    """What is wrong with the outputs of these inputs; held to the backend's own contract unless said."""
    backend = subject.backend
    contract = contract or backend.contract(inputs.case)
    return judge_under(backend.empty_rows, outputs, inputs, truth, contract).failures


def usual(subject: Subject) -> tuple[Failure, ...]:
    """What is wrong already without the experiment: then it shows nothing of its own."""
    return failures(subject, subject.run(), subject.inputs, subject.truth)


def renamed(found: tuple[Failure, ...], kind: str, when: str) -> tuple[Failure, ...]:
    """Wrong numbers as a failure of this experiment.

    Args:
        found: What the judge said.
        kind: The experiment's own kind of failure.
        when: What was done, to begin the message with.
    """
    return tuple(
        replace(f, kind=kind if f.kind in ACCURACY else f.kind, message=f"{when}: {f.message}")
        for f in found
    )


def hindrance(subject: Subject) -> tuple[Failure, ...] | Skipped | None:
    """Why an experiment that runs a call again cannot say anything: dropout, or wrong already."""
    if subject.case.dropout_p:
        return Skipped("with dropout, two runs are not alike")
    return usual(subject) or None


def gradient_hindrance(subject: Subject) -> tuple[Failure, ...] | Skipped | None:
    """Why one on gradients cannot: none wanted, or as above."""
    if not subject.case.wants_backward:
        return Skipped("no gradients are asked for")
    return hindrance(subject)
