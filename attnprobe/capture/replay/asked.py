"""What a captured call asks for: by which API, and which gradients."""

from __future__ import annotations

from attnprobe.core.capture import Call
from attnprobe.core.case import Pass

BACKENDS = {
    "sdpa": "sdpa-default",
    "mha": "mha",
    "mha-fast-path": "mha-fast-path",
    "encoder-fast-path": "mha-fast-path",
    "varlen": "varlen",
    "xformers": "xformers-default",
    "flash-attn-2": "flash-attn-2",
    "flash-attn-3": "flash-attn-3",
    "flash-attn-4": "flash-attn-4",
    "lucidrains": "lucidrains",
    "hand-written": "eager",
}
"""The backend that makes the call as the script does."""


def backend(call: Call) -> str:
    """The backend that makes the call as the script does; empty where none does."""
    if call.api == "flex":
        return "flex" if call.compiled else "flex-eager"
    if call.api == "sdpa" and call.q.kind == "nested":
        return "njt"
    if call.api == "mha" and "need_weights" in call.notes:
        return "mha-need-weights"
    return BACKENDS.get(call.api, "")


def passes_and_grads(call: Call) -> tuple[Pass, tuple[str, ...]]:
    """What was run, and the gradients that were wanted of it.

    A call whose backward pass was never run is a forward one, whatever autograd kept for it.
    """
    tensors = {"q": call.q, "k": call.k, "v": call.v}
    wanted = tuple(name for name, tensor in tensors.items() if tensor.requires_grad)
    bias = call.mask is not None and call.mask.requires_grad
    if call.backward and (wanted or bias):
        return "fwd+bwd", wanted
    if call.backward:  # the layer's weights want them, if not its inputs
        return "fwd+bwd", ("q", "k", "v")
    return "fwd", ("q", "k", "v")
