"""The mask of an earlier call with the same lengths: a cache whose key says too little.

The first call of a shape is right, later ones repeat its mask; so the same case alone may be right.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from attnprobe.device.explainer.seen import Seen, Variant

KIND = "indirect"


def variants(seen: Seen) -> Iterator[Variant]:
    """Other masks and lengths that this process saw at the same Mq and Mkv."""
    case = seen.inputs.case
    tried = [(case.mask, case.lengths)]
    for old in seen.earlier:
        here = (old.mask, old.lengths)
        if (old.Mq, old.Mkv) != (case.Mq, case.Mkv) or here in tried or old.B > case.B:
            continue
        if case.storage != "padded" or old.storage != "padded":
            continue
        if old.lengths is not None and old.B != case.B:
            continue
        tried.append(here)
        says = f"the mask of an earlier call of this shape is used: {old.mask.text}"
        says += " with lengths" if old.lengths else ""
        edited = case.edit(mask=old.mask, lengths=old.lengths)
        yield Variant(says, replace(seen.inputs, case=edited))
