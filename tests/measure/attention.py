"""Small attention calls in the shape of a backend's `Prepared`, with every launch counted."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from attnprobe.core.case import Case
from attnprobe.device.backends.base import Prepared
from attnprobe.device.inputs import Inputs, make
from attnprobe.device.layouts import BHMK
from attnprobe.device.measure import passes
from attnprobe.device.measure.clocks import Call
from attnprobe.device.measure.cold import Cold, Prepare, keep_cold


def written_out(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """softmax(Q K^T) V with its score matrix."""
    return (q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5).softmax(-1) @ v


def fused(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """SDPA with its own choice: the CPU flash kernel."""
    return scaled_dot_product_attention(q, k, v)


class Attention:
    """Prepares a case for a function of q, k and v."""

    def __init__(self, function: Callable[..., Tensor] = fused) -> None:
        self.function, self.launches, self.prepared = function, 0, 0

    def prepare(self, inputs: Inputs) -> Prepared:
        self.prepared += 1
        wants = inputs.case.wants_backward
        leaves = {
            n: getattr(inputs, n).detach().requires_grad_(wants and n in inputs.case.grads)
            for n in "qkv"
        }

        def launch() -> Tensor:
            self.launches += 1
            return self.function(*leaves.values())

        return Prepared(launch, leaves, BHMK(), "no mask")


def small(**changes: object) -> tuple[Case, Inputs]:
    """A case of a few microseconds and its inputs."""
    case = Case(1, 2, 2, 32, 32, 16, 16, "float32").edit(**changes)
    return case, make(case)


def kept_cold(prepared: Prepared, inputs: Inputs, prepare: Prepare[Inputs] | None) -> Cold:
    """One contestant alone."""
    return keep_cold((prepared,), inputs, (prepare,))[0]


def calls_of(cold: Cold, inputs: Inputs) -> dict[str, Call]:
    """One contestant's calls."""
    return passes.calls((cold,), inputs)[0]


CPU = torch.device("cpu")
