"""What explaining has cost and found so far in this process, backend by backend."""

from __future__ import annotations

from dataclasses import dataclass, field

from attnprobe.device.explainer.hypotheses import Variants

TOTAL_S = 3.0
"""Seconds that the failures of one backend may take in one process: a kernel that is wrong everywhere
fails some 200 trials of a quick check, and its answer is wanted within the minute. On an H200 eight
processes that were allowed 8 s each spent a third of a quick check on explaining five backends."""


@dataclass
class Past:
    """One backend's.

    Args:
        spent_s: Seconds spent on its failures.
        helped: Hypotheses that explained one, the latest first: of their kind, the next to be tried.
    """

    spent_s: float = 0.0
    helped: list[Variants] = field(default_factory=list)

    @property
    def left_s(self) -> float:
        """Seconds that are left."""
        return max(0.0, TOTAL_S - self.spent_s)

    def remember(self, hypothesis: Variants) -> None:
        """Puts it first."""
        if hypothesis in self.helped:
            self.helped.remove(hypothesis)
        self.helped.insert(0, hypothesis)


_known: dict[str, Past] = {}


def of(backend: str) -> Past:
    """The past of a backend; a new one where it has none."""
    return _known.setdefault(backend, Past())


def forget() -> None:
    """Starts anew."""
    _known.clear()
