"""One prepared case run once: output, log-sum-exp and gradients in canonical coordinates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter

import torch
from torch import Tensor

from attnprobe.core.case import Case
from attnprobe.core.parity import Failure
from attnprobe.device.backends import _leaves
from attnprobe.device.backends.base import Prepared
from attnprobe.device.inputs import Inputs, Outputs


@dataclass(frozen=True)
class Launched:
    """What one run of a prepared case gave.

    Args:
        outputs: Canonical.
        first_call_s: Seconds of the forward, waited for.
    """

    outputs: Outputs
    first_call_s: float


def launch(
    prepared: Prepared, inputs: Inputs, announce: Callable[[str], None]
) -> Launched | Failure:
    """Forward, log-sum-exp and backward; a Failure when what came back is no output at all.

    To be called inside `prepared.around()`.

    Args:
        prepared: The case, ready.
        inputs: What it was prepared from.
        announce: Called with "backward" when that begins.

    Raises:
        Exception: Whatever the library raises.
    """
    case, layout = inputs.case, prepared.layout
    start = perf_counter()
    native = prepared.launch()
    _wait(case)
    first_call_s = perf_counter() - start
    wrong = _malformed(native, prepared, case)
    if wrong:
        return wrong
    lse = None
    if prepared.lse is not None:
        with torch.no_grad():
            lse = prepared.lse()
    gradients: dict[str, Tensor] = {}
    if case.wants_backward:
        announce("backward")
        gradients = _gradients(native, prepared, inputs)
        _wait(case)
        for name, g in gradients.items():
            if g.layout != torch.strided and not g.is_nested:
                return Failure("type", f"returned a gradient of {name} of layout {_layout(g)}")
    found = {
        f"d{name}": layout.canonical(name, g) for name, g in gradients.items() if name != "bias"
    }
    if "bias" in gradients:
        found["dbias"] = _leaves.bias_gradient(inputs, gradients["bias"])
    return Launched(Outputs(layout.canonical("out", native.detach()), lse, **found), first_call_s)


def _gradients(native: Tensor, prepared: Prepared, inputs: Inputs) -> dict[str, Tensor]:
    """By leaf; what the library gives no gradient for is left out, and the judge calls it missing."""
    wanted = {name: leaf for name, leaf in prepared.leaves.items() if leaf.requires_grad}
    if not native.requires_grad or not wanted:
        return {}
    dout = prepared.layout.native("out", inputs.dout)
    given = prepared.differentiate(native, tuple(wanted.values()), dout)
    return {name: g for name, g in zip(wanted, given, strict=True) if g is not None}


def _malformed(native: object, prepared: Prepared, case: Case) -> Failure | None:
    if not isinstance(native, Tensor):
        return Failure("type", f"returned {type(native).__name__}, not a tensor")
    if native.layout != torch.strided and not native.is_nested:
        return Failure("type", f"returned a tensor of layout {_layout(native)}, not a dense one")
    if not native.is_floating_point():
        return Failure("dtype", f"out is {native.dtype}, not torch.{case.dtype}")
    if native.device.type != case.device.partition(":")[0]:
        return Failure(
            "device", f"returned a tensor on {native.device}; inputs are on {case.device}"
        )
    try:
        shape = tuple(prepared.layout.canonical("out", native.detach()).shape)
    except (IndexError, RuntimeError, ValueError):
        shape = tuple(native.shape)
    if shape != case.out_shape:
        return Failure("shape", f"returned shape {shape}; expected {case.out_shape}")
    return None


def _layout(tensor: Tensor) -> str:
    return str(tensor.layout).removeprefix("torch.")


def _wait(case: Case) -> None:
    """Lets an asynchronous error surface in the phase that caused it."""
    if case.device.startswith("cuda"):
        torch.cuda.synchronize()
