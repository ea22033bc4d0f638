"""Rows without keys that are NaN: a softmax over -inf alone is 0 / 0, and nothing writes 0 there.

All other rows are right. In the backward 0 * NaN spreads into gradients of keys, unless it is caught.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from torch import Tensor

from attnprobe.device.explainer.seen import Seen, Variant
from attnprobe.device.inputs import Outputs

KIND = "result"


def variants(seen: Seen) -> Iterator[Variant]:
    """Rows without keys made zero; gradients of keys that are NaN throughout left out."""
    if seen.parity.empty_rows != "nan":
        return
    empty = (seen.reference.compared & ~seen.reference.has_keys)[..., None]

    def zero(x: Tensor | None) -> Tensor | None:
        return None if x is None else x.masked_fill(empty, 0.0)

    def undo(outputs: Outputs) -> Outputs:
        return replace(outputs, out=outputs.out.masked_fill(empty, 0.0), dq=zero(outputs.dq))

    says = "a softmax over no key at all is 0 / 0: rows without keys need a guard"
    yield Variant(says, seen.inputs, undo)
