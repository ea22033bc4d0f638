"""A user's own callable, held to the documented contract of scaled_dot_product_attention.

Layout (B, H, M, K); `is_causal` is top-left; True in a boolean mask means attend; a row without keys is
zero; NotImplementedError is a refusal. Only arguments that differ from their defaults are passed.
Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.scaled_dot_product_attention.html
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from attnprobe.core.backend_fact import Claim
from attnprobe.core.case import Case
from attnprobe.core.parity import Failure
from attnprobe.device.backends import _leaves
from attnprobe.device.backends.base import Backend, Prepared
from attnprobe.device.inputs import Inputs
from attnprobe.device.layouts import BHMK
from attnprobe.device.lowering import sdpa
from attnprobe.device.lowering.base import Refusal
from attnprobe.errors import UsageError


class UserCallable(Backend):
    """`FILE.py:FUNC` or `package.module:FUNC`.

    Args:
        name: How it was spelled.
        function: The callable.
    """

    def __init__(self, name: str, function: Callable[..., Any]) -> None:
        self.name, self._function = name, function

    @classmethod
    def load(cls, name: str) -> UserCallable:
        """Imports the file or module and takes the function from it.

        Raises:
            UsageError: No such file, module or function.
            Exception: Whatever the user's code raises on import.
        """
        place, _, attribute = name.rpartition(":")
        function = getattr(_module(place), attribute, None)
        if not callable(function):
            raise UsageError(
                f"{place} has no function {attribute!r}", fix="name one as FILE.py:FUNC"
            )
        return cls(name, function)

    def claim(self) -> Claim:
        """Nothing is known of it before it is called."""
        return Claim(None, "a callable of yours", self.name)

    def contract(self, case: Case) -> str:
        """What a fused kernel on tensor cores may round."""
        return "fused_tc"

    def prepare(self, inputs: Inputs) -> Prepared | Refusal:
        """Copies of the inputs, so that a callable that writes into them spoils nobody else's."""
        lowered = sdpa.lower(inputs)
        if isinstance(lowered, Refusal):
            return lowered
        own = replace(inputs, q=_copy(inputs.q), k=_copy(inputs.k), v=_copy(inputs.v))
        leaves = _leaves.qkv(own, BHMK())
        arguments = dict(lowered.arguments)
        if "attn_mask" in arguments:
            arguments["attn_mask"] = _leaves.adopt_bias(leaves, inputs, arguments["attn_mask"])
        q, k, v = leaves["q"], leaves["k"], leaves["v"]

        def launch() -> Tensor:
            out: Tensor = self._function(q, k, v, **arguments)
            return out

        return Prepared(launch, leaves, BHMK(), lowered.form)

    def complaints(self, prepared: Prepared, inputs: Inputs) -> tuple[Failure, ...]:
        """Whether the callable wrote into its inputs."""
        changed = [
            name
            for name in ("q", "k", "v")
            if not torch.equal(prepared.leaves[name].detach(), getattr(inputs, name))
        ]
        return tuple(
            Failure("inplace", f"{name} was changed by the call: an input must stay as it is")
            for name in changed
        )


@cache
def _module(place: str) -> ModuleType:
    if not place.endswith(".py"):
        try:
            return importlib.import_module(place)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{place}.".startswith(f"{error.name}."):
                raise
            raise UsageError(f"no module {error.name!r}", fix="is it on PYTHONPATH?") from None
    path = Path(place).expanduser().resolve()
    if not path.is_file():
        raise UsageError(f"no such file: {place}")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(path.stem, module)  # dataclasses and triton look their module up
    spec.loader.exec_module(module)
    return module


def _copy(tensor: Tensor) -> Tensor:
    """The same values with the same strides (an expanded dimension stays one) in memory of its own."""
    once = tensor[tuple(slice(0, 1) if step == 0 else slice(None) for step in tensor.stride())]
    memory = torch.empty_strided(once.shape, once.stride(), dtype=once.dtype, device=once.device)
    return memory.copy_(once).expand(tensor.shape)
