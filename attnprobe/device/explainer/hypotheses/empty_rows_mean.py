"""Rows without keys that average all values: the mask is a finite number, so all keys weigh the same.

`masked_fill(mask, torch.finfo(dtype).min)` or `-1e4` instead of -inf, without the guard that writes 0.
Gradients of such rows flow into keys that nobody attends.
"""

from __future__ import annotations

from collections.abc import Iterator

from attnprobe.device.explainer.edits import attend_dense
from attnprobe.device.explainer.seen import Seen, Variant

KIND = "problem"


def variants(seen: Seen) -> Iterator[Variant]:
    """Rows without keys attend everything."""
    if bool((seen.reference.compared & ~seen.reference.has_keys).any()):
        yield Variant(
            "rows without keys average all values: a masked score is a finite number, not -inf",
            attend_dense(seen.inputs, lambda keep: keep | ~keep.any(-1, keepdim=True)),
        )
