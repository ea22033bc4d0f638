"""What a lowering returns: arguments, or every reason why there are none."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Refusal:
    """Why a case is not launched: every reason known.

    Args:
        reasons: In words that name the library, the condition and the value.
        by: library (it said so itself) or attnprobe (we cannot say this case to it).
        fix: What would make it run, where known.
    """

    reasons: tuple[str, ...]
    by: Literal["library", "attnprobe"] = "attnprobe"
    fix: str = ""


@dataclass(frozen=True)
class Lowered:
    """A mask, lengths and score said in one library's words.

    Args:
        arguments: Keyword arguments for the library's call.
        form: What was used, for people: "LowerTriangularMask", "dense bool 0.3 MiB".
        bytes: Memory the form itself occupies.
    """

    arguments: dict[str, Any] = field(default_factory=dict)
    form: str = "no mask"
    bytes: int = 0
