"""When SDPA takes cuDNN's kernel by itself, from records alone.

Source: torch@2.13.0:aten/src/ATen/native/transformers/cuda/sdp_utils.cpp,
`check_prefer_cudnn_attention` (compute capability 9.0 or 10.0, cuDNN after 9.15,
TORCH_CUDNN_SDPA_DEPRIORITIZED not set) and the checks of `can_use_cudnn_attention`.
"""

from __future__ import annotations

from attnprobe.diagnosis.situation import Situation

CAPABILITIES = ((9, 0), (10, 0))
LARGEST_HEAD = 128
"""Both passes; forward alone goes further on some GPUs."""
HALF = ("float16", "bfloat16")


def is_first(here: Situation) -> bool:
    """Whether torch asks cuDNN before the others; a live torch says so itself."""
    torch = here.environment.torch
    if torch is not None and torch.sdpa_priority:
        return torch.sdpa_priority[0].startswith("cudnn")
    if "TORCH_CUDNN_SDPA_DEPRIORITIZED" in here.environment.variables:
        return False
    return here.capability in CAPABILITIES and here.release("torch") >= (2, 11)


def fits(here: Situation) -> bool:
    """Whether its kernel takes the call, dropout aside."""
    case = here.case
    bias = case.score.bias
    return (
        here.on_cuda
        and here.capability in CAPABILITIES
        and case.dtype in HALF
        and case.K == case.Kv <= LARGEST_HEAD
        and case.K % 8 == 0
        and not (bias is not None and bias.requires_grad)
    )


def runs(here: Situation) -> bool:
    """Whether the user's call ends there."""
    chosen = here.backend == "sdpa-default" and is_first(here)
    return fits(here) and (chosen or here.backend == "sdpa-cudnn")
