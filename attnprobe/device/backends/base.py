"""What a backend is: a claim, reasons to refuse, and a way to prepare one case for launching."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor

from attnprobe.core.backend_fact import Claim
from attnprobe.core.case import Case
from attnprobe.core.parity import Failure
from attnprobe.device.inputs import Inputs
from attnprobe.device.layouts import Layout
from attnprobe.device.lowering.base import Refusal

Gradients = tuple[Tensor | None, ...]


def by_grad(out: Tensor, leaves: Sequence[Tensor], dout: Tensor) -> Gradients:
    """Gradients of the leaves through `torch.autograd.grad`: no `.grad` is written or accumulated."""
    return torch.autograd.grad(out, tuple(leaves), dout, allow_unused=True)


def by_backward(out: Tensor, leaves: Sequence[Tensor], dout: Tensor) -> Gradients:
    """Gradients of the leaves through `.backward()`, for calls that refuse `torch.autograd.grad`."""
    for leaf in leaves:
        leaf.grad = None
    torch.autograd.backward(out, dout)
    return tuple(leaf.grad for leaf in leaves)


@dataclass(frozen=True)
class Prepared:
    """One case, ready: everything costly or library-specific has been done outside the timed region.

    Args:
        launch: Runs the forward with the library's own call on `leaves` and returns the output in the
            library's layout. Nothing else happens in it: no mask building, no copies.
        leaves: The native tensors by name (q, k, v, bias), `requires_grad` set as the case asks.
        layout: Turns native tensors (out and gradients too) into canonical ones and back.
        form: How the mask was said: "is_causal=True", "dense bool 0.3 MiB", "BlockMask".
        lse: Runs the forward and returns the log-sum-exp, canonical (Bc, Hq, Tq), natural log, float32;
            None, as its result too, when the library does not give it for this case.
        around: Makes the context in which every launch, gradient and `lse` of this case must happen:
            the selection of a kernel, which must not be part of what is timed.
        differentiate: How the gradients of the leaves are had from the output and its gradient.
        complaints: What is wrong after the launches beyond the numbers; asked once per trial.
    """

    launch: Callable[[], Tensor]
    leaves: dict[str, Tensor]
    layout: Layout
    form: str
    lse: Callable[[], Tensor | None] | None = None
    around: Callable[[], AbstractContextManager[object]] = nullcontext
    differentiate: Callable[[Tensor, Sequence[Tensor], Tensor], Gradients] = by_grad
    complaints: Callable[[], tuple[Failure, ...]] = tuple


class Backend(ABC):
    """One way to compute attention. `device/backends/<name>.py` holds one instance, `BACKEND`.

    Attributes:
        name: As on the command line; the file name with `-`.
        package: Distribution whose version matters ("torch", "xformers", "flash-attn", ...).
        kernels: Regular expression that a kernel (CUDA) or operator (CPU) name must match to believe
            that this backend ran; empty when anything goes (eager, defaults).
        compiles: True when the first call compiles (its time is reported apart).
        materialises: True when it holds the (B, Hq, Mq, Mkv) scores in memory.
        empty_rows: What rows without keys are known to give: zero (torch's contract), nan or mean-v.
    """

    name: str
    package: str = "torch"
    kernels: str = ""
    compiles: bool = False
    materialises: bool = False
    empty_rows: str = "zero"

    def available(self) -> None:  # noqa: B027 - torch's own backends need nothing further
        """Imports what is needed.

        Raises:
            ModuleNotFoundError: The package is absent.
            Exception: Whatever a broken import raises; its text becomes the fact.
        """

    def another(self) -> Backend:
        """One for a thread of its own: where a callable is an object, its state is not shared."""
        return self

    @abstractmethod
    def claim(self) -> Claim:
        """What the library says of itself, before anything is launched."""

    @abstractmethod
    def contract(self, case: Case) -> str:
        """The numerics contract this backend is held to for this case (device/numerics/contracts.py)."""

    @abstractmethod
    def prepare(self, inputs: Inputs) -> Prepared | Refusal:
        """Layout change and lowering, outside the timed region; asks the library's own checker."""
