"""Rows without keys that attend every key: a masked score is a finite number.

`masked_fill(mask, torch.finfo(dtype).min)` or `-1e4` makes all scores of such a row equal, so that it
averages all values; a mask that is *added* leaves their differences, so that the row attends as if
nothing were masked. Nothing writes the 0 that belongs there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from attnprobe.device.explainer.edits import attend_dense
from attnprobe.device.explainer.seen import Seen, Variant

KIND = "problem"


def variants(seen: Seen) -> Iterator[Variant]:
    """Rows without keys attend everything, with equal scores or with their own."""
    empty = seen.reference.compared & ~seen.reference.has_keys
    if not bool(empty.any()):
        return
    all_keys = attend_dense(seen.inputs, lambda keep: keep | ~keep.any(-1, keepdim=True))
    equal = replace(all_keys, q=all_keys.q.masked_fill(empty[..., None], 0.0))
    of = ("out", "lse", "dv")
    says = "rows without keys average all values: masked scores are set to a finite number, not to -inf"
    yield Variant(says, equal, of=of)
    says = "rows without keys attend as if nothing were masked: a finite mask is added"
    yield Variant(says, all_keys)
