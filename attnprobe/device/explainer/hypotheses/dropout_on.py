"""Dropout that nobody asked for: a flag of training that stays on.

Every call gives another output, whose mean over calls is right. The generator is seeded before each
call, so that the pairs that are kept can be read off (q = 0, one-hot v) and the truth be made with them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from attnprobe.device.explainer.seen import Seen, Variant
from attnprobe.device.inputs import Inputs, Outputs
from attnprobe.device.numerics import dropout, exact
from attnprobe.device.numerics.exact import Run

KIND = "indirect"

SEED = 0
MOVES = 1e-2
"""Change of an average of ones that shows dropout; rounding changes it by 2^-8 at most."""

LAUNCHES = 64
"""Most calls that are spent on reading the pairs off."""


def variants(seen: Seen) -> Iterator[Variant]:
    """The case with the pairs that were kept, where rows of ones do not average to one."""
    inputs, case, run = seen.inputs, seen.inputs.case, seen.run
    if run is None or case.dropout_p or "out" not in seen.unexplained:
        return

    def seeded(edited: Inputs, seed: int = SEED) -> Outputs:
        torch.manual_seed(seed)
        return run(edited)

    def other(edited: Inputs) -> Outputs:
        return seeded(edited, SEED + 1)

    with torch.random.fork_rng():
        ones = seeded(replace(inputs, v=torch.ones_like(inputs.v))).out.double()
        off = (ones - 1.0).abs() * seen.reference.has_keys[..., None]
        if not float(off.max()) > MOVES or case.Mkv > LAUNCHES * case.Kv:
            return
        kept, again = dropout.drawn(seeded, inputs), dropout.drawn(seeded, inputs)
        if not torch.equal(kept, again) or torch.equal(kept, dropout.drawn(other, inputs)):
            return  # not ours to seed, or the same pairs whatever the seed
        outputs, factor = seeded(inputs), _factor(seeded, inputs, kept)
    if not factor > 1.0:
        return
    p = 1.0 - 1.0 / factor
    problem = replace(inputs, case=case.edit(dropout_p=p))
    says = f"dropout is on, with p = {p:.2g}"
    yield Variant(says, problem, lambda _: outputs, drawn=kept)


def _factor(run: Run, inputs: Inputs, kept: Tensor) -> float:
    """What kept probabilities are multiplied by: with q = 0 and v = 1, out is factor * kept / n."""
    bias = None if inputs.bias is None else torch.zeros_like(inputs.bias)
    flat = replace(inputs, q=torch.zeros_like(inputs.q), v=torch.ones_like(inputs.v), bias=bias)
    out = run(flat).out.double()[..., 0]
    every = slice(0, inputs.k.shape[2])
    n, number = exact.allowed(inputs.case, out.device, every).sum(-1), kept.sum(-1)
    return float((out * n / number.clamp_min(1))[number > 0].median())
