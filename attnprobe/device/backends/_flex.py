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


def prepare(inputs: Inputs, call: Callable[..., Any], ask_lse: bool) -> Prepared | Refusal:
    """A call of flex_attention.

    Dynamo keeps at most eight versions of a function and then runs it uncompiled or raises
    (`torch._dynamo.config.recompile_limit`); every case is a new version, so its memory is emptied
    here. Compiled code stays on disk in inductor's cache.

    Args:
        inputs: The case's tensors.
        call: `flex_attention`, compiled or not.
        ask_lse: Whether every launch asks for the log-sum-exp too: a call without it would be traced
            anew for the one with it, and with it the compiled form launches one more small kernel.
    """
    case = inputs.case
    leaves = _leaves.qkv(inputs, BHMK())
    validate = getattr(flex_module, "_validate_device", None)  # since torch 2.6
    try:  # before anything is compiled; says that there is no backward on the CPU
        if validate is not None:
            validate(leaves["q"], leaves["k"], leaves["v"])
    except (NotImplementedError, ValueError) as error:
        return Refusal((str(error),), "library")
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
    torch._dynamo.reset()
    q, k, v, arguments = leaves["q"], leaves["k"], leaves["v"], lowered.arguments
    if not ask_lse:
        return Prepared(lambda: call(q, k, v, **arguments), leaves, BHMK(), lowered.form)
    arguments = arguments | _asking_for_lse()
    latest: list[Tensor] = []

    def launch() -> Tensor:
        out: Tensor
        out, given = call(q, k, v, **arguments)
        latest[:] = [(given if isinstance(given, Tensor) else given.lse).detach()]
        return out

    def lse() -> Tensor:
        if not latest:
            launch()
        return latest[0].to(torch.float32)

    return Prepared(launch, leaves, BHMK(), lowered.form, lse)


def _asking_for_lse() -> dict[str, Any]:
    """`return_aux` where this torch has it, else `return_lse`; both give natural logarithms."""
    if "return_aux" in inspect.signature(flex_module.flex_attention).parameters:
        return {"return_aux": flex_module.AuxRequest(lse=True)}
    return {"return_lse": True}
