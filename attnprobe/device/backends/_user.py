"""A user's own callable, held to the documented contract of scaled_dot_product_attention.

Layout (B, H, M, K); `is_causal` is top-left; True in a boolean mask means attend; a row without keys is
zero; NotImplementedError is a refusal. Only arguments that differ from their defaults are passed.
Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.scaled_dot_product_attention.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from attnprobe.core.backend_fact import Claim
from attnprobe.core.case import Case
from attnprobe.core.parity import Failure
from attnprobe.device.backends import _leaves
from attnprobe.device.backends._named import named
from attnprobe.device.backends.base import Backend, Prepared
from attnprobe.device.inputs import Inputs
from attnprobe.device.layouts import BHMK
from attnprobe.device.lowering import sdpa
from attnprobe.device.lowering.base import Refusal


class UserCallable(Backend):
    """`FILE.py:FUNC` or `package.module:FUNC`; a class is made once, without arguments.

    Args:
        name: How it was spelled.
        function: The callable.
    """

    def __init__(self, name: str, function: Callable[..., Any]) -> None:
        self.name, self._function = name, function

    @classmethod
    def load(cls, name: str) -> UserCallable:
        """Imports the file or module and takes the callable from it.

        Raises:
            UsageError: No such file, module or name, or it cannot be called.
            Exception: Whatever the user's code raises on import.
        """
        return cls(name, named(name))

    def claim(self) -> Claim:
        """Nothing is known of it before it is called."""
        return Claim(None, "a callable of yours", self.name)

    def contract(self, case: Case) -> str:
        """What a fused kernel on tensor cores may round."""
        return "fused_tc"

    def prepare(self, inputs: Inputs) -> Prepared | Refusal:
        """Copies of all tensors, so that a callable that writes into them spoils nobody else's."""
        lowered = sdpa.lower(inputs)
        if isinstance(lowered, Refusal):
            return lowered
        arguments = dict(lowered.arguments)
        q, k, v, dout = _copies((inputs.q, inputs.k, inputs.v, inputs.dout))
        leaves = _leaves.qkv(replace(inputs, q=q, k=k, v=v), BHMK())
        given = {"q": inputs.q, "k": inputs.k, "v": inputs.v, "dout": inputs.dout}
        held = {**leaves, "dout": dout}
        if "attn_mask" in arguments:
            given["attn_mask"] = arguments["attn_mask"]
            (copy,) = _copies((given["attn_mask"],))
            held["attn_mask"] = arguments["attn_mask"] = _leaves.adopt_bias(leaves, inputs, copy)
        q, k, v = leaves["q"], leaves["k"], leaves["v"]

        def launch() -> Tensor:
            out: Tensor = self._function(q, k, v, **arguments)
            return out

        def spoiled() -> tuple[Failure, ...]:
            changed = (name for name in given if not _same(held[name].detach(), given[name]))
            return tuple(
                Failure("inplace", f"{name} was changed by the call: an input must stay as it is")
                for name in changed
            )

        return Prepared(launch, leaves, BHMK(), lowered.form, dout=dout, complaints=spoiled)
