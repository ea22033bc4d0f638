"""Tensors in each other's place: q and k, or k and v.

Where the shapes agree nothing complains; the result has no likeness with the right one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from attnprobe.device.explainer.seen import Seen, Variant
from attnprobe.device.inputs import Inputs, Outputs

KIND = "problem"


def variants(seen: Seen) -> Iterator[Variant]:
    """Where the shapes allow it; gradients follow their tensors, which takes both or none of them."""
    i = seen.inputs
    if i.q.shape == i.k.shape and _alike(i, "q", "k"):
        yield Variant("q and k are exchanged", replace(i, q=i.k, k=i.q), _queries_and_keys)
    if i.k.shape == i.v.shape:
        if _alike(i, "k", "v"):
            yield Variant("k and v are exchanged", replace(i, k=i.v, v=i.k), _keys_and_values)
        yield Variant("v is read from k", replace(i, v=i.k), of=("out", "lse", "dq"))
        yield Variant("k is read from v", replace(i, k=i.v), of=("out", "lse", "dv"))


def _alike(inputs: Inputs, one: str, other: str) -> bool:
    grads = inputs.case.grads
    return not inputs.case.wants_backward or (one in grads) == (other in grads)


def _queries_and_keys(outputs: Outputs) -> Outputs:
    return replace(outputs, dq=outputs.dk, dk=outputs.dq)


def _keys_and_values(outputs: Outputs) -> Outputs:
    return replace(outputs, dk=outputs.dv, dv=outputs.dk)
