"""The verdict of a comparison with the reference. How it is reached: device/numerics/."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Verdict = Literal["pass", "fail", "no_power", "none"]

QUANTITIES: tuple[str, ...] = ("out", "lse", "dq", "dk", "dv", "dbias")


@dataclass(frozen=True)
class Spot:
    """One number of one tensor that tells this wrong result from a right one.

    Args:
        at: Where, as a canonical Python index: `0, 3, 17, 5`, `0, 3, 16:32`, or `...`.
        error: What was seen there: level element, the absolute error; group, the norm of the error;
            gain, the slope sum(error * truth) / sum(truth ** 2).
        limit: The largest such number that the contract explains; for the gain, whose bound weighs
            elements by their own, scaled down from `error` by the ratio.
    """

    at: str
    error: float
    limit: float


@dataclass(frozen=True)
class Quantity:
    """One tensor held against its bound.

    Args:
        verdict: pass, fail, or no_power when the bound is too wide on this input to be evidence.
        ratio: Error over bound at the tightest of the three levels; 1 is the limit, inf for non-finite.
        level: Which level has that ratio: element, group or gain.
        relative_error: Frobenius norm of the error over that of the reference; for people, never a gate.
        resolution: RMS of the bound over RMS of the reference; above 0.1 the tensor is no evidence.
        worst_index: Canonical index (b, h, m, k) of the worst element.
        nonfinite: Elements that are NaN or inf and should not be.
        spot: Where and by how much it fails, at `level`; None when it does not, or is not finite.
        max_error: Largest absolute error, where it was taken (layers).
    """

    verdict: Verdict
    ratio: float
    level: str
    relative_error: float
    resolution: float = 0.0
    worst_index: tuple[int, ...] = ()
    nonfinite: int = 0
    spot: Spot | None = None
    max_error: float | None = None


@dataclass(frozen=True)
class Failure:
    """One thing that is wrong.

    Args:
        kind: accuracy, leak, nonfinite, determinism, dropout, empty_rows, gradient_missing, unwritten,
            shape, dtype, inplace ...
        message: What was seen, with numbers.
        hypothesis: What would explain it, when a hypothesis restored parity (all that did, joined by
            "; or "); else that none of those tried fits, or why none was tried. Empty where nobody
            looked for an explanation.
        of: The quantity that it is about: out, lse, dq, dk, dv, dbias; empty for none in particular.
        where: Where in that quantity the error sits: "head 3 of 4; query rows 128 to 129 of 130".
        error_before: Error over bound of that quantity against the reference.
        error_after: The same against what the hypothesis computes: at most 1. None when none fits.
    """

    kind: str
    message: str
    hypothesis: str = ""
    of: str = ""
    where: str = ""
    error_before: float | None = None
    error_after: float | None = None

    @property
    def is_explained(self) -> bool:
        """True when a hypothesis restored parity."""
        return self.error_after is not None


@dataclass(frozen=True)
class Parity:
    """All quantities of one trial.

    Args:
        verdict: fail if anything failed; no_power if nothing counts as evidence; none if not compared.
        contract: The numerics contract the backend was held to.
        numerics_class: The tightest contract it meets, or empty when it meets none.
        quantities: By name: out, lse, dq, dk, dv, dbias.
        failures: Everything wrong, accuracy included.
        empty_rows: What rows without keys returned: zero, nan, mean-v, other; empty when there are none.
        unsaid: Why the verdict is none.
        queries: How many queries were compared, over all sequences, when the case is too long to compare
            all; gradients of keys and values are then those of a cotangent of these queries.
    """

    verdict: Verdict
    contract: str
    numerics_class: str = ""
    quantities: dict[str, Quantity] = field(default_factory=dict)
    failures: tuple[Failure, ...] = ()
    empty_rows: str = ""
    unsaid: str = ""
    queries: int | None = None
