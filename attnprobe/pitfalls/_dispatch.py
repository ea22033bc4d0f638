"""What SDPA's choice of a kernel is known to look at: what has to be said of a call before it is made.

Source: torch@2.13.0:aten/src/ATen/native/transformers/cuda/sdp_utils.cpp. It is asked for suspicions
alone; which kernel runs is what experiments show.
"""

from __future__ import annotations

from attnprobe.core.case import Case
from attnprobe.diagnosis.situation import Situation

HALF = ("float16", "bfloat16")


def has_mask_tensor(case: Case) -> bool:
    """Whether `attn_mask` is a tensor: everything but no mask, and top-left causal as a flag."""
    if case.mask_form != "best" or case.lengths is not None or not case.score.is_plain:
        return True
    flag = case.mask.is_causal and (case.mask.align == "top-left" or case.Mq == case.Mkv)
    return not flag and not case.mask.is_idle(case.Mq, case.Mkv)


def cudnn_first(here: Situation) -> bool:
    """Whether cuDNN is asked before all others: what torch said of its order, else what is known of it.

    `check_prefer_cudnn_attention`: compute capability 9.0 or 10.0, cuDNN after 9.15 (torch 2.11 is the
    first release that comes with one), and TORCH_CUDNN_SDPA_DEPRIORITIZED not set.
    """
    torch = here.environment.torch
    if torch is not None and torch.sdpa_priority:
        return torch.sdpa_priority[0].startswith("cudnn")
    if "TORCH_CUDNN_SDPA_DEPRIORITIZED" in here.environment.variables:
        return False
    return here.capability in ((9, 0), (10, 0)) and here.release("torch") >= (2, 11)


def cudnn_runs(here: Situation) -> bool:
    """Whether `sdpa-default` takes cuDNN for the call, masks and grouped heads included."""
    return cudnn_first(here) and cudnn_takes(here)


def cudnn_takes(here: Situation) -> bool:
    """Whether cuDNN's kernel fits the call, dropout aside."""
    case = here.case
    dims = (case.K, case.Kv)
    fits = max(dims) <= 128 or dims == (192, 128)
    return (
        here.on_cuda
        and case.dtype in HALF
        and fits
        and not any(dim % 8 for dim in dims)
        and not case.wants_bias_grad
        and case.Mkv != 1
        and case.layout != "strided"
    )
