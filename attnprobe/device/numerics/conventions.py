"""Rows without keys where a backend is known to treat them otherwise than torch does."""

from __future__ import annotations

from dataclasses import replace

from attnprobe.core.parity import Parity
from attnprobe.device.inputs import Inputs, Outputs
from attnprobe.device.numerics.judge import judge
from attnprobe.device.reference import Reference

SPOILT = {
    "nan": "rows without keys are NaN by this backend's convention, and so is what they touch",
    "mean-v": "rows without keys average all values by this backend's convention and add to gradients",
}


SEEN = {"nan": ("", "nan"), "mean-v": ("", "mean-v", "other")}
"""What rows without keys may then look like: the tail of a packed row is not looked at, and a mean over
a whole packed row is none of the sequence's own values."""


def spoils(convention: str, reference: Reference) -> bool:
    """True when rows without keys, the tail of a packed row included, touch what is compared."""
    return convention in SPOILT and not bool(reference.has_keys.all())


def judge_under(
    convention: str, outputs: Outputs, inputs: Inputs, reference: Reference, contract: str
) -> Parity:
    """The verdict under the convention that a backend declares for rows without keys.

    A plain softmax of such a row is NaN and a finite mask value makes it the mean of all values: both
    are what these implementations are known to do, not an error of this machine. Where that is what
    is seen, the other rows are judged, the gradients are not (0 * NaN is NaN), and both are said.

    Args:
        convention: zero (nothing is excused), nan or mean-v.
        outputs: As for `judge`.
        inputs: As for `judge`.
        reference: As for `judge`.
        contract: As for `judge`.
    """
    parity = judge(outputs, inputs, reference, contract)
    if not spoils(convention, reference) or parity.empty_rows not in SEEN[convention]:
        return parity
    forward = replace(inputs, case=inputs.case.edit(passes="fwd"))
    alone = judge(Outputs(outputs.out, outputs.lse), forward, reference, contract)
    failures = tuple(f for f in alone.failures if f.kind != "empty_rows")
    verdict = alone.verdict
    if verdict == "fail" and not failures:
        verdict = "pass"
    unsaid = f"gradients are not judged: {SPOILT[convention]}" if inputs.case.wants_backward else ""
    return replace(alone, verdict=verdict, failures=failures, unsaid=unsaid or alone.unsaid)
