"""What a layer is: its tensors, what it computes in the plainest form, and other ways to compute it."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from attnprobe.core import cost
from attnprobe.core.case import ELEMENT_BYTES, Case, Pass
from attnprobe.device.backends.base import Gradients, Prepared, by_grad
from attnprobe.device.inputs import ON_DEVICE_ABOVE
from attnprobe.device.layouts import Layout
from attnprobe.device.lowering.base import Refusal

COMPILED = "-compiled"
"""A variant of this ending is the one without it, through `torch.compile`."""

Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class LayerInputs:
    """Inputs and weights of one layer, canonical: real tokens one behind the other, (T, D).

    Args:
        case: The recipe.
        layer: What they are for.
        tensors: By name; those of floating point have gradients, the others (tokens) have none.
        dout: The gradient that flows back into the output, shaped like it.
    """

    case: Case
    layer: Layer
    tensors: Tensors
    dout: Tensor

    @property
    def device(self) -> torch.device:
        """Where the tensors are."""
        return self.dout.device

    @property
    def dtype(self) -> torch.dtype:
        """What the layer computes in."""
        found: torch.dtype = getattr(torch, self.case.dtype)
        return found

    @cached_property
    def demand(self) -> cost.Demand:
        """What the layer needs at least."""
        return self.layer.demand(self)


@dataclass(frozen=True)
class Body:
    """One way to compute a layer, on tensors in a layout of its own.

    Args:
        forward: Takes the leaves in their order and returns the output in that layout: a tensor, or
            a tuple of tensors that lie side by side in the last dimension of the canonical one.
        leaves: Native tensors. A name says which canonical tensors a leaf holds: `w1+w3` is both,
            joined in their first dimension.
        layout: Turns native tensors into canonical ones and back; weights are the same in both.
        form: What is called, for people.
        around: See `Prepared`.
        differentiate: See `Prepared`.
    """

    forward: Callable[..., Any]
    leaves: Tensors
    layout: Layout
    form: str
    around: Callable[[], AbstractContextManager[object]] = nullcontext
    differentiate: Callable[[Any, Sequence[Tensor], Any], Gradients] = by_grad


class Layer(ABC):
    """One layer. `device/modules/<name>/layer.py` holds one instance, `LAYER`.

    Attributes:
        notes: What a reader must know of its times.
    """

    notes: tuple[str, ...] = ()

    @property
    @abstractmethod
    def bodies(self) -> Mapping[str, Callable[[LayerInputs], Body | Refusal]]:
        """By variant, without those that are compiled; needs no library but torch to be asked for."""

    @abstractmethod
    def shapes(self, case: Case) -> dict[str, tuple[int, ...]]:
        """Inputs (names without a dot or underscore) and weights by name; (out, in) for a weight."""

    @abstractmethod
    def out_shape(self, case: Case) -> tuple[int, ...]:
        """Of the canonical output."""

    @abstractmethod
    def compute(self, case: Case, tensors: Tensors) -> Tensor:
        """The layer in the plainest form, in the dtype of its tensors; canonical."""

    @abstractmethod
    def flops(self, case: Case) -> dict[Pass, int]:
        """Floating-point operations on real tokens, matmuls and attended pairs, by pass."""

    @abstractmethod
    def activations(self, case: Case) -> int:
        """About how many elements `compute` keeps for its backward."""

    def terms(self, case: Case) -> int:
        """Products in the longest sum: tokens in a weight's gradient, outputs in an input's."""
        shapes = self.shapes(case)
        outputs = sum(shape[0] for name, shape in shapes.items() if name[0] == "w")
        return max(outputs, *map(max, shapes.values()))

    def available(self, variant: str) -> None:  # noqa: B027 - torch's own need nothing further
        """Imports what is needed.

        Raises:
            ModuleNotFoundError: The package is absent.
            Exception: Whatever a broken import raises.
        """

    def problems(self, case: Case) -> tuple[str, ...]:
        """Every reason why the case describes no such layer; subclasses add theirs."""
        plain = {
            "score": case.score.is_plain and case.score.scale is None,
            "Hkv, Kv": (case.Hq, case.K) == (case.Hkv, case.Kv),
            "dropout_p": not case.dropout_p,
            "layout": case.layout == "BHMK",
            "mask_form": case.mask_form == "best",
            "family": case.family == "normal",
            "grads": case.grads == ("q", "k", "v"),
        }
        return tuple(
            f"the layer {case.module} has no choice of {name}"
            for name, usual in plain.items()
            if not usual
        )

    def compiles(self, variant: str) -> bool:
        """True when the first call compiles."""
        return variant.endswith(COMPILED)

    def kernels(self, variant: str) -> str:
        """What a kernel's name must match to believe that the variant ran; empty when anything goes."""
        return ""

    def make(self, case: Case) -> LayerInputs:
        """Draws inputs from N(0, 1) and weights from N(0, 1 / in), the same on every device.

        On the CPU, as `device/inputs.py` does, beyond `ON_DEVICE_ABOVE` elements on the device.
        """
        shapes = self.shapes(case)
        elements = sum(map(math.prod, shapes.values())) + math.prod(self.out_shape(case))
        where = case.device if elements > ON_DEVICE_ABOVE else "cpu"
        generator = torch.Generator(where).manual_seed(case.seed)

        def drawn(name: str, shape: tuple[int, ...]) -> Tensor:
            values = torch.randn(shape, generator=generator, device=where)
            if name[0] in "wb":
                values *= width(case) ** -0.5 if len(shape) == 1 else shape[-1] ** -0.5
            return values.to(getattr(torch, case.dtype)).to(case.device)

        tensors = {name: drawn(name, shape) for name, shape in shapes.items()}
        return LayerInputs(case, self, tensors, drawn("out", self.out_shape(case)))

    def demand(self, given: LayerInputs) -> cost.Demand:
        """Inputs and weights read once a pass, gradients of all of them and the output written once."""
        case, e = given.case, ELEMENT_BYTES[given.case.dtype]
        read = sum(t.numel() for t in given.tensors.values() if t.is_floating_point()) * e
        out = given.dout.numel() * e
        fwd, bwd = read + out, 2 * read + out
        moved: dict[Pass, int] = {"fwd": fwd, "bwd": bwd, "fwd+bwd": fwd + bwd}
        return cost.Demand(self.flops(case), moved, out + (read if case.wants_backward else 0))

    def estimate_bytes(self, case: Case) -> int:
        """What checking the layer is expected to take: the float64 reference sets it."""
        held = sum(map(math.prod, self.shapes(case).values()))
        return 8 * (3 * held + 2 * self.activations(case))

    def prepare(self, variant: str, given: LayerInputs) -> Prepared | Refusal:
        """One variant, ready to launch.

        Raises:
            Exception: Whatever a library raises while the layer is made.
        """
        body = self.bodies[variant.removesuffix(COMPILED)](given)
        if isinstance(body, Refusal):
            return body
        forward, leaves, form = body.forward, tuple(body.leaves.values()), body.form
        if variant.endswith(COMPILED):
            torch._dynamo.reset()  # it keeps eight versions of a function, then runs it uncompiled
            forward, form = torch.compile(forward), f"{form}, torch.compile"

        def launch() -> Any:
            return forward(*leaves)

        return Prepared(
            launch,
            body.leaves,
            body.layout,
            form,
            around=body.around,
            differentiate=body.differentiate,
        )


def width(case: Case) -> int:
    """D: what a layer's tokens have."""
    return case.Hq * case.K


def leaf(given: LayerInputs, name: str, layout: Layout) -> Tensor:
    """A tensor that a variant is called with, `requires_grad` set as the case asks.

    Args:
        given: Canonical tensors.
        name: Of one, or of several that are joined: `w1+w3`.
        layout: The variant's.
    """
    parts = [given.tensors[part] for part in name.split("+")]
    joined = parts[0] if len(parts) == 1 else torch.cat(parts)
    native = layout.native(name, joined).detach()
    return native.requires_grad_(given.case.wants_backward)


def by_pass(matmul: int, attention: Case | None = None) -> dict[Pass, int]:
    """Operations of matmuls, whose backward is two matmuls of the same size, and of attention.

    Args:
        matmul: Of all matmuls of the forward.
        attention: The attention call within the layer.
    """
    attended = cost.attended_pairs(attention) if attention else 0

    def of(name: Pass) -> int:
        return cost.flops(attention, name, attended) if attention else 0

    fwd, bwd = matmul + of("fwd"), 2 * matmul + of("bwd")
    return {"fwd": fwd, "bwd": bwd, "fwd+bwd": fwd + bwd}
