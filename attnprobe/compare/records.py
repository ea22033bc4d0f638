"""What a comparison of two sessions amounts to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from attnprobe.core.report import Report
from attnprobe.core.timing import Ratio
from attnprobe.core.trial import Record

Verdict = Literal["faster", "slower", "indistinguishable"]

Change = Literal[
    "none",
    "newly_wrong",
    "newly_broken",
    "newly_refused",
    "newly_runs",
    "newly_right",
    "otherwise",
]
"""What became of a trial: `newly_broken` raised, crashed, hung or ran out of memory where it ran before;
`newly_refused` covers a package that is gone; `newly_right` was wrong before; `otherwise` did not give
a right result before and does not now, but in another way (wrong, now refused)."""


@dataclass(frozen=True)
class Difference:
    """One thing that differs between the two environments.

    Args:
        what: `torch`, `GPU power limit`, `package xformers`, `flag ...`, `variable ...`, `library ...`.
        old: What it was; empty where it was not there.
        new: What it is.
    """

    what: str
    old: str
    new: str


@dataclass(frozen=True)
class Speed:
    """One pass of one trial, before and after.

    Args:
        field: fwd_s, bwd_s or fwd_bwd_s.
        old_s: Median before, in seconds.
        new_s: Median after.
        ratio: new / old with the interval that decides, wide enough for all comparisons together.
        verdict: What can be said of NEW: only an interval beyond the allowance counts.
        paired: True where both took turns, in one run on one machine.
    """

    field: str
    old_s: float
    new_s: float
    ratio: Ratio
    verdict: Verdict
    paired: bool = False


@dataclass(frozen=True)
class Memory:
    """Peak memory over the inputs, before and after, in bytes.

    Args:
        old: Before.
        new: After.
        verdict: What can be said of NEW.
        how: How both were taken.
    """

    old: int
    new: int
    verdict: Literal["more", "less", "same"]
    how: str = ""


@dataclass(frozen=True)
class Kernels:
    """What ran, where it is not what ran before.

    Args:
        old: Kernels that the profiler saw before.
        new: Kernels that it sees now.
        foreign: Why the new ones are another backend's; empty when they are not, or were before too.
    """

    old: tuple[str, ...]
    new: tuple[str, ...]
    foreign: str = ""


@dataclass(frozen=True)
class Pair:
    """A trial that both sessions ran.

    Args:
        old: Its record in OLD.
        new: Its record in NEW.
        change: What became of it.
        speeds: Times that could be compared.
        memory: Peak memory, where both know it.
        kernels: Set where other kernels ran.
        withheld: Why something is not compared that one side has, each as `field: reason`.
    """

    old: Record
    new: Record
    change: Change
    speeds: tuple[Speed, ...] = ()
    memory: Memory | None = None
    kernels: Kernels | None = None
    withheld: tuple[str, ...] = ()


@dataclass(frozen=True)
class Comparison:
    """Two sessions side by side.

    Args:
        old: The first one.
        new: The second one.
        differences: What differs between their environments, the weightiest first.
        warnings: What makes the numbers less comparable than they look.
        pairs: Trials that both ran.
        only_old: Trials that only OLD ran.
        only_new: Trials that only NEW ran.
        ratios: How many ratios of times were looked at together.
        confidence: Of each ratio's interval, so that all of them together are wrong in 5% of cases.
    """

    old: Report
    new: Report
    differences: tuple[Difference, ...]
    warnings: tuple[str, ...]
    pairs: tuple[Pair, ...]
    only_old: tuple[Record, ...]
    only_new: tuple[Record, ...]
    ratios: int
    confidence: float
