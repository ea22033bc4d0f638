"""Key 0 attended whatever the mask says: a sink that nobody asked for, or a guard against empty rows.

Rows whose mask excludes key 0 differ; the others are right.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch

from attnprobe.device.explainer.edits import attend_dense
from attnprobe.device.explainer.seen import Seen, Variant

KIND = "problem"


def variants(seen: Seen) -> Iterator[Variant]:
    """In every row, or in rows without any other key."""
    case = seen.inputs.case
    if case.mask.is_none and case.lengths is None:
        return
    first = torch.arange(case.Mkv, device=seen.inputs.q.device) == 0
    yield Variant(
        "key 0 is attended by every row, whatever the mask says",
        attend_dense(seen.inputs, lambda keep: keep | first[: keep.shape[-1]]),
    )
    yield Variant(
        "rows without keys attend key 0",
        attend_dense(
            seen.inputs,
            lambda keep: keep | (first[: keep.shape[-1]] & ~keep.any(-1, keepdim=True)),
        ),
    )
