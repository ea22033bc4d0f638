"""torch.nn.attention.flex_attention, as its two backends share it.

Sources: https://docs.pytorch.org/docs/stable/nn.attention.flex_attention.html and
torch@2.13.0:torch/nn/attention/flex_attention.py.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import flex_attention as flex_module

from attnprobe.device.backends import _leaves
from attnprobe.device.backends.base import Prepared
from attnprobe.device.inputs import Inputs
from attnprobe.device.layouts import BHMK
from attnprobe.device.lowering import flex
from attnprobe.device.lowering.base import Refusal


def prepare(
    inputs: Inputs, call: Callable[..., Any], give_lse: bool, reset: bool = True
) -> Prepared | Refusal:
    """A call of flex_attention.

    Dynamo keeps at most eight versions of a function and then runs it uncompiled or raises
    (`torch._dynamo.config.recompile_limit`); every case is a new version, so its memory is emptied here.
    Compiled code stays on disk in inductor's cache.

    Args:
        inputs: The case's tensors.
        call: `flex_attention`, compiled or not.
        give_lse: Whether the log-sum-exp is worth a second call, which compiles once more.
        reset: Whether to empty dynamo's memory.
    """
    case = inputs.case
    if case.wants_backward and case.device == "cpu":
        return Refusal(("flex_attention has no backward on the CPU (_validate_device)",), "library")
    leaves = _leaves.qkv(inputs, BHMK())
    if inputs.bias is not None:
        bias = inputs.bias.detach().requires_grad_(case.wants_bias_grad)
        inputs = replace(
            inputs, bias=bias
        )  # captured by the score_mod, which gives it its gradient
        if case.wants_bias_grad:
            leaves["bias"] = bias
    lowered = flex.lower(inputs)
    if isinstance(lowered, Refusal):
        return lowered
    if reset:
        torch._dynamo.reset()
    q, k, v, arguments = leaves["q"], leaves["k"], leaves["v"], lowered.arguments

    def launch() -> Tensor:
        out: Tensor = call(q, k, v, **arguments)
        return out

    def lse() -> Tensor:
        given = call(q, k, v, **arguments, **_asking_for_lse())[1]
        found: Tensor = given if isinstance(given, Tensor) else given.lse
        return found.detach().to(torch.float32)

    return Prepared(launch, leaves, BHMK(), lowered.form, lse if give_lse else None)


def _asking_for_lse() -> dict[str, Any]:
    """`return_aux` where this torch has it, else `return_lse`; both give natural logarithms."""
    if "return_aux" in inspect.signature(flex_module.flex_attention).parameters:
        return {"return_aux": flex_module.AuxRequest(lse=True)}
    return {"return_lse": True}
