"""A causal mask or window whose diagonal starts in the other corner.

With Mq != Mkv libraries disagree on where it starts: SDPA's `is_causal` is top-left, flash-attn's has
been bottom-right since 2.1. Every row then sees |Mkv - Mq| keys too many or too few.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from attnprobe.core.mask import Align
from attnprobe.device.explainer.seen import Seen, Variant

KIND = "problem"


def variants(seen: Seen) -> Iterator[Variant]:
    """The mask aligned in the other corner."""
    case, mask = seen.inputs.case, seen.inputs.case.mask
    if not mask.is_aligned or all(s.Mq == s.Mkv for s in case.sequences):
        return
    other: Align = "top-left" if mask.align == "bottom-right" else "bottom-right"
    turned = case.edit(mask=replace(mask, align=other))
    says = f"the mask is aligned {other} instead of {mask.align}"
    yield Variant(says, replace(seen.inputs, case=turned))
