"""A CUDA build of torch without its flash kernel, as Windows wheels were: SDPA takes a slower one.

Source: "Torch was not compiled with flash attention" (ComfyUI#9299), a build option.
"""

from __future__ import annotations

from attnprobe.core.backend_fact import BackendFact
from attnprobe.core.environment import Environment


def matches(environment: Environment, facts: tuple[BackendFact, ...]) -> str | None:
    """By `torch.backends.cuda.is_flash_attention_available()`."""
    torch = environment.torch
    if torch is None or not torch.cuda or torch.flags.get("flash_compiled") != "False":
        return None
    return (
        f"torch {torch.version} was compiled without flash attention. Fix: prefer cuDNN with "
        "torch.nn.attention.sdpa_kernel([CUDNN_ATTENTION, EFFICIENT_ATTENTION], set_priority=True)."
    )
