"""A user's own callable, held to the documented contract of scaled_dot_product_attention.

Layout (B, H, M, K); `is_causal` is top-left; True in a boolean mask means attend; a row without keys is
zero; NotImplementedError is a refusal. Only arguments that differ from their defaults are passed. A
callable whose signature has `return_lse` is asked for its log-sum-exp too.
Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.scaled_dot_product_attention.html
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from attnprobe.core.backend_fact import Claim
from attnprobe.core.case import Case
from attnprobe.core.parity import Failure
from attnprobe.device.backends import _leaves, _user_lse
from attnprobe.device.backends._named import named
from attnprobe.device.backends.base import Backend, Gradients, Prepared, by_grad
from attnprobe.device.inputs import Inputs
from attnprobe.device.layouts import BHMK
from attnprobe.device.lowering import sdpa
from attnprobe.device.lowering.base import Refusal


class UserCallable(Backend):
    """`FILE.py:FUNC` or `package.module:FUNC`; a class is made once, without arguments.

    Args:
        name: How it was spelled.
        function: The callable.
        made: Gives another one, where that is known: a new instance of a class, or the function again.
    """

    def __init__(
        self,
        name: str,
        function: Callable[..., Any],
        made: Callable[[], Callable[..., Any]] | None = None,
    ) -> None:
        self.name, self._function, self._made = name, function, made

    @classmethod
    def load(cls, name: str) -> UserCallable:
        """Imports the file or module and takes the callable from it.

        Raises:
            UsageError: No such file, module or name, or it cannot be called.
            Exception: Whatever the user's code raises on import.
        """
        return cls(name, named(name), lambda: named.__wrapped__(name))

    def another(self) -> UserCallable:
        """Another instance where a class was named; one instance need not serve two threads at once."""
        return self if self._made is None else UserCallable(self.name, self._made(), self._made)

    def claim(self) -> Claim:
        """Nothing is known of it before it is called."""
        return Claim(None, "a callable of yours", self.name)

    def contract(self, case: Case) -> str:
        """What a fused kernel on tensor cores may round; on a CPU, what torch's own kernel does.

        A callable that calls SDPA there is right, and in 16 bits its gradients are accumulated in them.
        """
        on_cpu = case.device == "cpu" and case.dtype != "float32"
        return "cpu_flash" if on_cpu else "fused_tc"

    def prepare(self, inputs: Inputs) -> Prepared | Refusal:
        """Copies of all tensors, so that a callable that writes into them spoils nobody else's."""
        lowered = sdpa.lower(inputs)
        if isinstance(lowered, Refusal):
            return lowered
        arguments = dict(lowered.arguments)
        q, k, v = _copies(inputs.q, inputs.k, inputs.v)
        leaves = _leaves.qkv(replace(inputs, q=q, k=k, v=v), BHMK())
        watch = _Watch()
        for name in ("q", "k", "v"):
            watch.over(name, leaves[name], getattr(inputs, name))
        if "attn_mask" in arguments:
            mask = arguments["attn_mask"]
            (copy,) = _copies(mask)
            arguments["attn_mask"] = _leaves.adopt_bias(leaves, inputs, copy)
            watch.over("attn_mask", copy, mask)
        q, k, v = leaves["q"], leaves["k"], leaves["v"]

        def launch() -> Tensor:
            out: Tensor = self._function(q, k, v, **arguments)
            return out

        def launch_with_lse() -> object:
            return self._function(q, k, v, **arguments, **{_user_lse.NAME: True})

        lse = _user_lse.Asking(launch_with_lse, inputs.q.device)
        return Prepared(
            launch,
            leaves,
            BHMK(),
            lowered.form,
            lse=lse if _user_lse.gives(self._function) else None,
            differentiate=watch.differentiate,
            complaints=lambda: watch.complaints() + lse.complaints(),
        )


class _Watch:
    """Whether the callable wrote into what it was given."""

    def __init__(self) -> None:
        self._pairs: dict[str, tuple[Tensor, Tensor]] = {}

    def over(self, name: str, held: Tensor, given: Tensor) -> None:
        """`held` is a copy of `given`, and must stay one."""
        self._pairs[name] = (held, given)

    def differentiate(self, out: Tensor, leaves: Sequence[Tensor], dout: Tensor) -> Gradients:
        """The first backward gets a copy of dout; later ones, which may be timed, get dout itself."""
        if "dout" not in self._pairs:
            (held,) = _copies(dout)
            self.over("dout", held, dout)
            dout = held
        return by_grad(out, leaves, dout)

    def complaints(self) -> tuple[Failure, ...]:
        """What was written to."""
        return tuple(
            Failure("inplace", f"{name} was changed by the call: an input must stay as it is")
            for name, (held, given) in self._pairs.items()
            if not _same(held.detach(), given)
        )


def _copies(*tensors: Tensor) -> list[Tensor]:
    """The same values, strides and offsets; what shared memory shares its copy."""
    memory: dict[int, torch.UntypedStorage] = {}
    copies = []
    for t in tensors:
        storage = t.untyped_storage()
        if storage.data_ptr() not in memory:
            memory[storage.data_ptr()] = storage.clone()  # type: ignore[no-untyped-call] # torch leaves it untyped
        copy = torch.empty(0, dtype=t.dtype, device=t.device)
        copy.set_(memory[storage.data_ptr()], t.storage_offset(), t.shape, t.stride())
        copies.append(copy)
    return copies


def _same(one: Tensor, other: Tensor) -> bool:
    return bool(((one == other) | (one.isnan() & other.isnan())).all())
