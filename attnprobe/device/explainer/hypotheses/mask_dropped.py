"""A mask, or one part of it, that never reaches the kernel.

A fast path that takes no mask, a flag that is read under one condition only, padding that is trusted
to be zero: rows attend everything that the lost part forbids.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from attnprobe.core.case import Case
from attnprobe.core.mask import NONE, Mask
from attnprobe.device.explainer.seen import Seen, Variant

KIND = "problem"


def variants(seen: Seen) -> Iterator[Variant]:
    """Without the mask, its band, one side of it, its predicates, or the lengths."""
    case, mask = seen.inputs.case, seen.inputs.case.mask

    def under(what: str, edited: Case) -> Variant:
        return Variant(f"{what} ignored", replace(seen.inputs, case=edited))

    if not mask.is_none:
        yield under("the mask is", case.edit(mask=NONE))
    parts = {
        "the window's left side is": replace(mask, left=None),
        "the causal side of the mask is": replace(mask, right=None),
        "all of the mask but its band is": Mask(mask.left, mask.right, mask.align),
    }
    for what, part in parts.items():
        if part != mask and not part.is_none:
            yield under(what, case.edit(mask=part))
    if case.lengths is not None and case.storage == "padded":
        yield under("lengths are", case.edit(lengths=None))
        yield under("lengths and mask are", case.edit(lengths=None, mask=NONE))
