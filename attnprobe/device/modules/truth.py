"""A layer in float64 and, for the size of its errors, in the case's dtype: once for all variants."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from attnprobe.core.case import Case
from attnprobe.device import modules
from attnprobe.device.modules.base import LayerInputs
from attnprobe.device.modules.judge import Truth, allowed


@lru_cache(maxsize=1)
def inputs(case: Case) -> LayerInputs:
    """Inputs and weights of a case; not to be written to."""
    return modules.load(case.module).make(case)


@lru_cache(maxsize=1)
def truth(case: Case) -> Truth:
    """What a layer gives, and the error that is allowed."""
    given = inputs(case)
    right = plainly(given, torch.float64)
    plain = plainly(given, None)
    terms = given.layer.terms(case)
    limits = {name: allowed(plain[name], right[name], given.dtype, terms) for name in right}
    return Truth(right, limits)


def forget() -> None:
    """Drops both, and the memory they hold."""
    inputs.cache_clear()
    truth.cache_clear()


def plainly(given: LayerInputs, dtype: torch.dtype | None) -> dict[str, Tensor]:
    """Output and gradients of the layer as its `compute` has them.

    Args:
        given: Inputs and weights.
        dtype: What they are turned into first; None leaves them.
    """
    case = given.case
    leaves = {
        name: t.to(dtype or t.dtype).detach().requires_grad_(case.wants_backward)
        if t.is_floating_point()
        else t
        for name, t in given.tensors.items()
    }
    out = given.layer.compute(case, leaves)
    found = {"out": out.detach()}
    if case.wants_backward:
        wanted = {name: t for name, t in leaves.items() if t.requires_grad}
        gradients = torch.autograd.grad(out, tuple(wanted.values()), given.dout.to(out.dtype))
        found |= {f"d{name}": g for name, g in zip(wanted, gradients, strict=True)}
    return found
