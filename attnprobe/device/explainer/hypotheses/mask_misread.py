"""A mask read from the wrong place: transposed, one off, or that of the first batch element.

Strides in the wrong order, an index that is off by one, a stride of 0 where there is a batch.
"""

from __future__ import annotations

from collections.abc import Iterator

from attnprobe.device.explainer.edits import Change, attend_dense
from attnprobe.device.explainer.seen import Seen, Variant

KIND = "problem"


def variants(seen: Seen) -> Iterator[Variant]:
    """Every wrong place, where it differs from the right one."""
    case = seen.inputs.case
    if case.mask.is_none and case.lengths is None:
        return
    changes: dict[str, Change] = {
        "the mask is read one column too early": lambda keep: keep.roll(1, -1),
        "the mask is read one column too late": lambda keep: keep.roll(-1, -1),
        "the mask is read one row too early": lambda keep: keep.roll(1, -2),
        "the mask is read one row too late": lambda keep: keep.roll(-1, -2),
    }
    if case.Mq == case.Mkv and case.storage == "padded":
        changes["the mask is read with rows and columns exchanged"] = lambda keep: keep.mT
    if case.lengths is not None and case.storage == "padded" and case.B > 1:
        first = "every batch element uses the mask of the first"
        changes[first] = lambda keep: keep[:1].expand_as(keep)
    for says, change in changes.items():
        yield Variant(says, attend_dense(seen.inputs, change))
