"""What a backend claims of itself, and what was seen when it was launched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Fact = Literal[
    "runs",
    "wrong",
    "refused",
    "raised",
    "crashed",
    "timed_out",
    "out_of_memory",
    "absent",
    "broken",
    "not_run",
]


@dataclass(frozen=True)
class Claim:
    """What the library says before anything is launched.

    Args:
        available: What its own availability check answers; None when it has none.
        says: The words it uses ("cutlassF-pt: available").
        source: The call that was asked, e.g. `xformers.ops.fmha.cutlass.FwOp.is_available()`.
        version: Version of the package in the child.
        error: Why it could not be asked: the import's exception and what caused it.
        absent: True when that is because the package is not installed; otherwise it is broken.
        package: Distribution whose version matters.
        compiles: True when every new mask, dtype and pass is compiled first, which takes seconds.
    """

    available: bool | None
    says: str = ""
    source: str = ""
    version: str = ""
    error: str = ""
    absent: bool = False
    package: str = ""
    compiles: bool = False


@dataclass(frozen=True)
class Launch:
    """One proof: a small case run forward (and backward) in a child.

    Args:
        dtype: Element type.
        passes: fwd or fwd+bwd.
        fact: What was seen.
        reasons: Why not, when it did not run.
    """

    dtype: str
    passes: str
    fact: Fact
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class BackendFact:
    """Claim beside fact for one backend.

    Args:
        name: Backend name.
        package: Distribution whose version matters.
        version: Its version; empty when absent.
        claim: What it says.
        fact: `wrong` if any launch was, else the furthest that a launch got.
        launches: Per dtype and pass.
        reasons: All reasons, deduplicated.
        fix: What to do, where known.
    """

    name: str
    package: str
    version: str
    claim: Claim
    fact: Fact
    launches: tuple[Launch, ...] = ()
    reasons: tuple[str, ...] = ()
    fix: str = ""
