"""How a small model learned with one backend, beside how it learns with others."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Stretch:
    """A quarter of the training.

    Args:
        log_loss: Mean of log(loss) with this backend.
        expected: Mean of the null runs.
        allowed: How far a run that differs by rounding alone may be from that.
    """

    log_loss: float
    expected: float
    allowed: float

    @property
    def ratio(self) -> float:
        """Deviation over what is allowed; 1 is the limit."""
        return abs(self.log_loss - self.expected) / self.allowed


@dataclass(frozen=True)
class Training:
    """One training run.

    Args:
        losses: Cross entropy in nats, by step.
        accuracy: Share of next tokens that the trained model gets right on sequences it has not seen.
        null_losses: Mean over the null runs, by step.
        stretches: The quarters of the run.
        null_runs: How many there were.
    """

    losses: tuple[float, ...]
    accuracy: float
    null_losses: tuple[float, ...]
    stretches: tuple[Stretch, ...]
    null_runs: int
