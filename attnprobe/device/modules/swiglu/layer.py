"""w2(silu(w1 x) * (w3 x)), without biases."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping

from torch import Tensor
from torch.nn.functional import linear, silu

from attnprobe.core.case import Case, Pass
from attnprobe.device.lowering.base import Refusal
from attnprobe.device.modules.base import Body, Layer, LayerInputs, Tensors, by_pass, leaf, width
from attnprobe.device.modules.rows import AsTheyAre

MULTIPLE_OF = 256


def hidden(case: Case) -> int:
    """Two thirds of 4D, rounded up to a multiple of 256."""
    return -(-(8 * width(case) // 3) // MULTIPLE_OF) * MULTIPLE_OF


class SwiGlu(Layer):
    """`x` (B * Mq, D) to (B * Mq, D)."""

    @property
    def bodies(self) -> Mapping[str, Callable[[LayerInputs], Body | Refusal]]:
        """See the folder's docstring."""
        return {"packed": packed, "separate": separate, "xformers": xformers}

    def available(self, variant: str) -> None:
        """Imports xFormers for its own variant."""
        if variant == "xformers":
            importlib.import_module("xformers.ops")

    def shapes(self, case: Case) -> dict[str, tuple[int, ...]]:
        """`x`, the gate w1 and up w3 (hidden, D), the down w2 (D, hidden)."""
        D, H = width(case), hidden(case)
        return {"x": (case.B * case.Mq, D), "w1": (H, D), "w3": (H, D), "w2": (D, H)}

    def out_shape(self, case: Case) -> tuple[int, ...]:
        """(T, D)."""
        return (case.B * case.Mq, width(case))

    def compute(self, case: Case, tensors: Tensors) -> Tensor:
        """Three matmuls, the sigmoid written out."""
        gate, up = (tensors["x"] @ tensors[name].T for name in ("w1", "w3"))
        return (gate * gate.sigmoid() * up) @ tensors["w2"].T

    def flops(self, case: Case) -> dict[Pass, int]:
        """Three matmuls of T * D * hidden."""
        return by_pass(6 * case.B * case.Mq * width(case) * hidden(case))

    def activations(self, case: Case) -> int:
        """Gate, its sigmoid, their product, up, and the product of all."""
        return 5 * case.B * case.Mq * hidden(case)


def packed(given: LayerInputs) -> Body:
    """Gate and up in one matmul."""
    leaves = {name: leaf(given, name, AsTheyAre()) for name in ("x", "w1+w3", "w2")}

    def forward(x: Tensor, gate_and_up: Tensor, down: Tensor) -> Tensor:
        gate, up = linear(x, gate_and_up).chunk(2, -1)
        return linear(silu(gate) * up, down)

    return Body(forward, leaves, AsTheyAre(), "w1 and w3 in one matmul, chunk")


def separate(given: LayerInputs) -> Body:
    """Three matmuls."""
    leaves = {name: leaf(given, name, AsTheyAre()) for name in ("x", "w1", "w3", "w2")}

    def forward(x: Tensor, gate: Tensor, up: Tensor, down: Tensor) -> Tensor:
        return linear(silu(linear(x, gate)) * linear(x, up), down)

    return Body(forward, leaves, AsTheyAre(), "three matmuls")


def xformers(given: LayerInputs) -> Body | Refusal:
    """XFormers' operator with its own choice; its w1, w2, w3 are gate, up and down.

    In 0.0.35 that choice is always `eager`, three matmuls: its fused kernels are gone
    (xformers@0.0.35:xformers/ops/swiglu_op.py, `SwiGLUOpDispatch.op`).
    """
    ops = importlib.import_module("xformers.ops")
    if not hasattr(ops, "swiglu"):
        return Refusal(("this release of xFormers has no xformers.ops.swiglu",), "library")
    leaves = {name: leaf(given, name, AsTheyAre()) for name in ("x", "w1+w3", "w2")}
    x, weights, down = leaves.values()
    gate, up = weights.view(2, -1, weights.shape[-1])
    chosen = ops.SwiGLUOpDispatch.from_arguments(x, gate, None, up, None, down, None).op.NAME

    def forward(x: Tensor, gate_and_up: Tensor, down: Tensor) -> Tensor:
        gate, up = ops.unbind(gate_and_up.view(2, -1, gate_and_up.shape[-1]), 0)
        out: Tensor = ops.swiglu(x, gate, None, up, None, down, None)
        return out

    return Body(forward, leaves, AsTheyAre(), f"xformers.ops.swiglu, its operator {chosen}")


LAYER = SwiGlu()
