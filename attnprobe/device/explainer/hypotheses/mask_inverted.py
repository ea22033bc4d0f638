"""A boolean mask read with True and False exchanged.

SDPA attends where True; `key_padding_mask` of nn.MultiheadAttention and many older kernels ignore
where True. Rows attend exactly the keys that they should not.
"""

from __future__ import annotations

from collections.abc import Iterator

from attnprobe.device.explainer.edits import attend_dense
from attnprobe.device.explainer.seen import Seen, Variant

KIND = "problem"


def variants(seen: Seen) -> Iterator[Variant]:
    """The complement of the mask."""
    case = seen.inputs.case
    if case.mask.is_none and case.lengths is None:
        return
    says = "the mask is inverted: pairs that should attend do not, the others do"
    yield Variant(says, attend_dense(seen.inputs, lambda keep: ~keep))
