"""Every batch element computed with q, k or v of the first: a batch stride of 0.

The first element is right, the others are not; an expanded tensor hides it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from attnprobe.device.explainer.seen import Seen, Variant

KIND = "problem"


def variants(seen: Seen) -> Iterator[Variant]:
    """q, k, v, k and v, or all three."""
    inputs = seen.inputs
    if inputs.q.shape[0] == 1:
        return
    for names in (("q",), ("k",), ("v",), ("k", "v"), ("q", "k", "v")):
        first = {name: getattr(inputs, name)[:1].expand_as(getattr(inputs, name)) for name in names}
        says = f"every batch element is computed with {', '.join(names)} of the first"
        yield Variant(says, replace(inputs, **first))
