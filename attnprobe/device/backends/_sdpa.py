"""torch.nn.functional.scaled_dot_product_attention with one kernel selected, or with its own choice.

Sources: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.scaled_dot_product_attention.html
and torch@2.13.0:torch/nn/attention/__init__.py (`sdpa_kernel`, `SDPBackend`).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.backends import cuda
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

from attnprobe.core.backend_fact import Claim
from attnprobe.core.case import Case
from attnprobe.device.backends import _leaves, _sdpa_lse
from attnprobe.device.backends._claim import Answer, asked
from attnprobe.device.backends.base import Backend, Prepared
from attnprobe.device.inputs import Inputs
from attnprobe.device.layouts import BHMK
from attnprobe.device.lowering import sdpa
from attnprobe.device.lowering.base import Refusal

Leaves = dict[str, Tensor]
Arguments = dict[str, Any]

CHECKERS: dict[str, Callable[[Any, bool], bool]] = {
    "FLASH_ATTENTION": cuda.can_use_flash_attention,
    "EFFICIENT_ATTENTION": cuda.can_use_efficient_attention,
    "CUDNN_ATTENTION": cuda.can_use_cudnn_attention,
}

FLAGS: dict[str, Callable[[], bool]] = {
    "MATH": cuda.math_sdp_enabled,
    "FLASH_ATTENTION": cuda.flash_sdp_enabled,
    "EFFICIENT_ATTENTION": cuda.mem_efficient_sdp_enabled,
    "CUDNN_ATTENTION": cuda.cudnn_sdp_enabled,
}


class Sdpa(Backend):
    """One of SDPA's kernels, alone, so that nothing falls back silently.

    Args:
        name: Backend name.
        kernel: Name in `SDPBackend`.
        kernels: See `Backend`.
        contracts: Numerics contract by device type.
    """

    def __init__(self, name: str, kernel: str, kernels: str, contracts: dict[str, str]) -> None:
        self.name, self.kernel, self.kernels = name, kernel, kernels
        self.materialises = kernel == "MATH"
        self._contracts = contracts

    def contract(self, case: Case) -> str:
        """By device: CPU and CUDA have different kernels of the same name."""
        return self._contracts[case.device.partition(":")[0]]

    def claim(self) -> Claim:
        """Whether the kernel is built in and switched on."""
        source = f"torch.backends.cuda.{FLAGS[self.kernel].__name__}()"
        return asked(self, source, lambda: says(self.kernel))

    def prepare(self, inputs: Inputs) -> Prepared | Refusal:
        """Lowers the mask and lets torch's selection say whether this kernel takes the call."""
        return prepare(inputs, self.selection, self.refusals, self.kernel)

    def selection(self) -> Any:
        """The context in which the call is made."""
        return sdpa_kernel([getattr(SDPBackend, self.kernel)])

    def refusals(self, leaves: Leaves, arguments: Arguments) -> tuple[str, ...]:
        """Why torch would not take this kernel; empty when it would."""
        with self.selection():
            return refusals(self.kernel, leaves, arguments)


def says(kernel: str) -> Answer:
    """Whether a kernel is switched on and built in, and so in words."""
    on = FLAGS[kernel]()
    switch = "enabled" if on else "disabled"
    if kernel in ("EFFICIENT_ATTENTION", "CUDNN_ATTENTION") and torch.version.cuda is None:
        return False, f"{switch}, but this torch is built without CUDA"
    if kernel == "FLASH_ATTENTION" and torch.version.cuda is not None:
        built = cuda.is_flash_attention_available()
        return on and built, f"{switch}, {'built in' if built else 'not built in'}"
    return on, switch


def prepare(
    inputs: Inputs,
    selection: Callable[[], Any],
    ask: Callable[[Leaves, Arguments], tuple[str, ...]],
    kernel: str,
) -> Prepared | Refusal:
    """An SDPA call made inside `selection()`.

    Args:
        inputs: The case's tensors.
        selection: A context manager that selects the kernel.
        ask: Every reason why that kernel would not be taken.
        kernel: Name in `SDPBackend` whose aten operator gives the log-sum-exp; empty for none.
    """
    lowered = sdpa.lower(inputs)
    if isinstance(lowered, Refusal):
        return lowered
    leaves = _leaves.qkv(inputs, BHMK())
    arguments = dict(lowered.arguments)
    if "attn_mask" in arguments:
        arguments["attn_mask"] = _leaves.adopt_bias(leaves, inputs, arguments["attn_mask"])
    reasons = ask(leaves, arguments)
    if reasons:
        return Refusal(reasons, by="library")
    q, k, v = leaves["q"], leaves["k"], leaves["v"]

    def launch() -> Tensor:
        return scaled_dot_product_attention(q, k, v, **arguments)

    lse = _sdpa_lse.call(kernel, leaves, arguments)
    return Prepared(launch, leaves, BHMK(), lowered.form, lse, selection)


def refusals(kernel: str, leaves: Leaves, arguments: Arguments) -> tuple[str, ...]:
    """Asks torch's own selection, inside a context that allows `kernel` alone.

    `torch._fused_sdp_choice` is what SDPA itself asks (aten/src/ATen/native/transformers/attention.cpp);
    it launches nothing, and warns with the reasons when no kernel is left.
    """
    q, k, v = leaves["q"], leaves["k"], leaves["v"]
    mask, gqa = arguments.get("attn_mask"), bool(arguments.get("enable_gqa"))
    dropout, causal = arguments.get("dropout_p", 0.0), bool(arguments.get("is_causal"))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            choice = torch._fused_sdp_choice(
                q, k, v, mask, dropout, causal, scale=arguments.get("scale"), enable_gqa=gqa
            )
        except RuntimeError as error:
            refusal = str(error).partition("\n")[0]
        else:
            if choice == int(getattr(SDPBackend, kernel)):
                return ()
            refusal = f"torch would take {SDPBackend(choice).name} instead of {kernel}"
        if kernel in CHECKERS and q.is_cuda:
            said.clear()
            params = cuda.SDPAParams(q, k, v, mask, dropout, causal, gqa)
            CHECKERS[kernel](params, True)
    own = _unsaid(kernel, leaves, arguments)
    return (
        *(_clean(str(w.message)) for w in said if "not used because" not in str(w.message)),
        *own,
    ) or (refusal,)


def _unsaid(kernel: str, leaves: Leaves, arguments: Arguments) -> tuple[str, ...]:
    """Reasons that torch has and does not put into words."""
    q, mask = leaves["q"], arguments.get("attn_mask")
    found = []
    if not q.is_cuda and kernel in ("EFFICIENT_ATTENTION", "CUDNN_ATTENTION"):
        found.append(f"{kernel} has no kernel for device {q.device.type}")
    if mask is not None and mask.requires_grad and kernel in ("FLASH_ATTENTION", "CUDNN_ATTENTION"):
        found.append(f"{kernel} gives no gradient for attn_mask")
    if arguments.get("dropout_p") and not q.is_cuda and kernel == "FLASH_ATTENTION":
        found.append("the CPU flash kernel has no dropout")
    return tuple(found)


def _clean(message: str) -> str:
    """A warning without the C++ source line it came from."""
    return message.partition(" (Triggered internally at")[0].strip()
