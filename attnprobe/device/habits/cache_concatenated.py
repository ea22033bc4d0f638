"""The cache grows by `torch.cat`: every step copies all of it to add one token.

The last key and value count as the new ones. Mended, they alone are copied, as into a cache that has
room.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from attnprobe.core.backend_fact import Claim
from attnprobe.core.case import Case
from attnprobe.device.backends import _leaves, sdpa_default
from attnprobe.device.backends.base import Backend, Prepared
from attnprobe.device.inputs import Inputs
from attnprobe.device.layouts import BHMK
from attnprobe.device.lowering import sdpa
from attnprobe.device.lowering.base import Refusal


class Grown(Backend):
    """The past is a tensor of its own, as the step before has left it; so is the token."""

    name = "written/cache-concatenated"

    def claim(self) -> Claim:
        """It says nothing of itself."""
        return Claim(None, "code that people write", self.name)

    def contract(self, case: Case) -> str:
        """Of what is called."""
        return sdpa_default.BACKEND.contract(case)

    def prepare(self, inputs: Inputs) -> Prepared | Refusal:
        """Takes the cache apart outside of what is timed."""
        if inputs.case.wants_backward:
            return Refusal(("a cache is grown while decoding, where no gradient is wanted",))
        lowered = sdpa.lower(inputs)
        if isinstance(lowered, Refusal):
            return lowered
        leaves, arguments = _leaves.qkv(inputs, BHMK()), lowered.arguments
        past = [x[:, :, :-1].contiguous() for x in (leaves["k"], leaves["v"])]
        new = [x[:, :, -1:].contiguous() for x in (leaves["k"], leaves["v"])]

        def launch() -> Tensor:
            k, v = (torch.cat(parts, dim=2) for parts in zip(past, new, strict=True))
            return scaled_dot_product_attention(leaves["q"], k, v, **arguments)

        return Prepared(launch, leaves, BHMK(), lowered.form)


def mended(query: Tensor, key: Tensor, value: Tensor, **arguments: Any) -> Tensor:
    """One token is written elsewhere; the inputs, which play the cache, must stay as they are."""
    for x in (key, value):
        x[:, :, -1:].clone()
    return scaled_dot_product_attention(query, key, value, **arguments)


WRITTEN = Grown()
