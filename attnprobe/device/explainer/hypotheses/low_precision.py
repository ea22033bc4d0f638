"""Digits that the contract does not allow to lose: TF32, or intermediates in 16 bits.

The error is what such arithmetic may make of it, and more than what the backend was held to. Tried
last, because bounds of a coarser format also cover other small errors; an error that is large, or that
follows the result row by row as a wrong factor does, is not of this kind.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from attnprobe.device.explainer.seen import Seen, Variant
from attnprobe.device.inputs import Inputs
from attnprobe.device.numerics import contracts, formats

KIND = "precision"

LARGE = 0.05
"""Relative error beyond which no format is to blame: a dozen roundings to bfloat16 (2^-8) in a row."""

FOLLOWS = 0.95
"""Share of the error's energy along the truth, row by row, that shows a wrong factor; independent
roundings have about 1 / K, truncated operands (a scale that is a little too small) more."""


def variants(seen: Seen) -> Iterator[Variant]:
    """Looser contracts of the same dtype, then coarser formats."""
    inputs, held_to = seen.inputs, seen.parity.contract
    of = tuple(name for name in seen.unexplained if _is_noise(seen, name))
    if not of:
        return
    names = contracts.names()
    for name in names[names.index(held_to) + 1 :]:
        if name != "tf32":
            yield Variant(
                f"no more error than the contract {name} allows", inputs, of=of, contract=name
            )
        elif inputs.case.dtype == "float32":
            yield Variant("no more error than products in TF32 make", inputs, of=of, contract=name)
    for dtype in ("float16", "bfloat16"):
        if formats.of(dtype).u > formats.of(inputs.case.dtype).u:
            inner = replace(inputs, case=inputs.case.edit(dtype=dtype))
            rounded = _rounded(inner, dtype)
            yield Variant(
                f"no more error than P and dS in {dtype} make", inner, of=of, contract="fused_tc"
            )
            yield Variant(
                f"no more error than inputs rounded to {dtype} make",
                rounded,
                of=of,
                contract="fused_tc",
            )
            says = f"no more error than every intermediate in {dtype} makes"
            yield Variant(says, inner, of=of, contract="unfused")


def _is_noise(seen: Seen, name: str) -> bool:
    quantity, got = seen.parity.quantities.get(name), getattr(seen.outputs, name)
    if quantity is None or not quantity.relative_error < LARGE:
        return False
    truth: Tensor = getattr(seen.reference, name)
    if name == "lse":
        return True
    error = got.double() - truth
    along = (error * truth).sum(-1) / truth.norm(dim=-1).clamp_min(1e-300)
    return float((along**2).sum()) < FOLLOWS * float((error**2).sum())


def _rounded(inputs: Inputs, dtype: str) -> Inputs:
    kind = getattr(torch, dtype)
    q, k, v, dout = (t.to(kind) for t in (inputs.q, inputs.k, inputs.v, inputs.dout))
    return replace(inputs, q=q, k=k, v=v, dout=dout)
