"""Three projections of the same tokens."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear

from attnprobe.core.case import Case, Pass
from attnprobe.device.modules.base import Body, Layer, LayerInputs, Tensors, by_pass, leaf, width
from attnprobe.device.modules.rows import AsTheyAre

NAMES = ("w_q", "w_k", "w_v")


class SideBySide(AsTheyAre):
    """Three outputs (T, D) that are one (T, 3D) in the canonical form."""

    def native(self, name: str, canonical: Tensor) -> Any:
        """The output's gradient as three tensors of their own."""
        if name != "out":
            return canonical
        return tuple(part.contiguous() for part in canonical.chunk(len(NAMES), -1))

    def canonical(self, name: str, native: Any) -> Tensor:
        """The outputs joined."""
        return torch.cat(native, -1) if name == "out" else native


class InputProjection(Layer):
    """`x` (B * Mq, D) to q, k and v, without biases."""

    @property
    def bodies(self) -> Mapping[str, Callable[[LayerInputs], Body]]:
        """See the folder's docstring."""
        return {"packed": packed, "separate": separate}

    def shapes(self, case: Case) -> dict[str, tuple[int, ...]]:
        """`x` and three weights."""
        D = width(case)
        return {"x": (case.B * case.Mq, D), **dict.fromkeys(NAMES, (D, D))}

    def out_shape(self, case: Case) -> tuple[int, ...]:
        """(T, 3D)."""
        return (case.B * case.Mq, len(NAMES) * width(case))

    def compute(self, case: Case, tensors: Tensors) -> Tensor:
        """Three matmuls."""
        return torch.cat([tensors["x"] @ tensors[name].T for name in NAMES], -1)

    def flops(self, case: Case) -> dict[Pass, int]:
        """Three matmuls (T, D) (D, D)."""
        return by_pass(2 * case.B * case.Mq * len(NAMES) * width(case) ** 2)

    def activations(self, case: Case) -> int:
        """The outputs, and their joined copy."""
        return 2 * len(NAMES) * case.B * case.Mq * width(case)


def packed(given: LayerInputs) -> Body:
    """One matmul with a weight (3D, D); the outputs are views of its thirds."""
    rows = SideBySide()
    leaves = {name: leaf(given, name, rows) for name in ("x", "+".join(NAMES))}

    def forward(x: Tensor, weight: Tensor) -> tuple[Tensor, ...]:
        return linear(x, weight).chunk(len(NAMES), -1)

    return Body(forward, leaves, rows, "one matmul, chunk")


def separate(given: LayerInputs) -> Body:
    """Three matmuls with weights (D, D)."""
    rows = SideBySide()
    leaves = {name: leaf(given, name, rows) for name in ("x", *NAMES)}

    def forward(x: Tensor, *weights: Tensor) -> tuple[Tensor, ...]:
        return tuple(linear(x, weight) for weight in weights)

    return Body(forward, leaves, rows, "three matmuls")


LAYER = InputProjection()
