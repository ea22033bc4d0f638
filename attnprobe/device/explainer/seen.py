"""What a hypothesis is given, and what it answers with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from attnprobe.core.case import Case
from attnprobe.core.parity import QUANTITIES, Parity
from attnprobe.device.inputs import Inputs, Outputs
from attnprobe.device.numerics.exact import Run
from attnprobe.device.reference import Reference


def as_they_are(outputs: Outputs) -> Outputs:
    """Undoes nothing."""
    return outputs


@dataclass(frozen=True)
class Variant:
    """Another problem that the kernel may have solved.

    Args:
        says: What would be wrong with the kernel, without a full stop.
        inputs: The problem whose right solution the outputs would be; masks, scale and tensors may
            differ from the case's, even in dtype.
        undo: What puts outputs back that a kernel spoiled after solving it: a factor, an order of
            heads. Its tensors may be float64.
        of: The quantities that the variant speaks of.
        contract: Another contract than the one of the trial to judge by; empty for the same.
        drawn: The pairs that dropout kept, where the problem has dropout.
    """

    says: str
    inputs: Inputs
    undo: Callable[[Outputs], Outputs] = as_they_are
    of: tuple[str, ...] = QUANTITIES
    contract: str = ""
    drawn: Tensor | None = None


@dataclass(frozen=True)
class Seen:
    """A failed trial.

    Args:
        inputs: What the backend was given; for hypotheses about results, the problem that explains
            its output, where there is one.
        outputs: What it returned.
        reference: `compute(inputs)`.
        parity: The verdict.
        unexplained: Quantities whose failures nothing explains so far.
        earlier: Cases that this process checked before, oldest first.
        run: Launches the backend on other tensors of the case; None where that cannot be.
    """

    inputs: Inputs
    outputs: Outputs
    reference: Reference
    parity: Parity
    unexplained: tuple[str, ...]
    earlier: tuple[Case, ...] = ()
    run: Run | None = None
