"""What a lowering returns: arguments, or every reason why there are none."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from attnprobe.core.case import Case

Feature = Literal["softcap", "alibi", "bias", "scale", "dropout", "gqa", "dense masks"]


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


def lacks(case: Case, library: str, *features: Feature) -> list[str]:
    """One reason for each feature that the case uses and the library has not.

    Args:
        case: The attention call.
        library: The name to put into the reasons.
        features: What the library does not have.
    """
    score = case.score
    used = {
        "softcap": (score.softcap is not None, f"soft cap (softcap={score.softcap})"),
        "alibi": (score.alibi, "ALiBi"),
        "bias": (score.bias is not None, "argument for a tensor bias"),
        "scale": (
            score.scale is not None and score.scale != case.K**-0.5,
            f"argument for the scale (scale={score.scale}, it uses K ** -0.5)",
        ),
        "dropout": (case.dropout_p > 0, f"dropout (dropout_p={case.dropout_p})"),
        "gqa": (case.groups > 1, f"grouped-query attention (Hq={case.Hq}, Hkv={case.Hkv})"),
        "dense masks": (
            case.mask_form != "best",
            f"argument for a dense mask (mask_form={case.mask_form})",
        ),
    }
    return [f"{library} has no {used[name][1]}" for name in features if used[name][0]]
