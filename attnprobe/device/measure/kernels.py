"""Which kernels (CUDA) or operators (CPU) really ran."""

from __future__ import annotations

import re
from collections.abc import Callable

import torch

_NOISE = re.compile(
    r"aten::(empty\w*|new_empty\w*|as_strided\w*|view\w*|_unsafe_view|reshape\w*|_reshape_alias|"
    r"transpose\w*|t|permute|expand\w*|squeeze\w*|unsqueeze\w*|select|slice|narrow|split\w*|chunk|"
    r"unbind|alias|detach\w*|resolve_\w+|result_type|can_cast|resize_|set_|item|is_nonzero|"
    r"_local_scalar_dense|lift_fresh|zeros\w*|ones\w*|zero_|fill_)$"
    r"|^detach_?$|^autograd::|Backward\d*$|AccumulateGrad$|^\[memory\]$"
)
"""Views, allocations and autograd's own bookkeeping: they say nothing of how attention is computed.
Copies and casts stay: they are the hidden cost that a layout or a dtype brings."""

_NO_KERNEL = re.compile(
    r"^(Memcpy|Memset|\[memory\]|## |ProfilerStep|Torch-Compiled Region|CompiledFunction)"
    r"|^cu(da)?[A-Z]\w+$"
)
"""What the profiler also lists on a device: transfers, annotations, the driver's calls."""

_SOFTMAX = re.compile(r"softmax", re.IGNORECASE)
_FUSED = re.compile(
    r"flash|fmha|attention_for_cpu|efficient_attention|sdpa|splitk_attn|_fwd_splitK|mha|flex_attention|"
    r"triton_(tem_fused|flex)|cutlass.*attention",
    re.IGNORECASE,
)
_TEMPLATE = re.compile(r"(?<=^at::native::)((?:\(anonymous namespace\)::)?\w+).*", re.DOTALL)
_READABLE = 120
_MATH = re.compile(r"_scaled_dot_product_attention_math")


def observe(run: Callable[[], object], device: str | torch.device) -> tuple[str, ...]:
    """Names of what a call launched, each once, in the order of their first launch.

    CUDA: kernels as CUPTI reports them (torch.profiler); starting it costs up to a second once a
    process and tens of milliseconds later. CPU: operators below `torch.autograd.profiler`, 2 to 3 ms
    on top of the call (torch 2.13; views and allocations left out).

    Args:
        run: The call, warmed up already, in the context that it needs (`Prepared.around`).
        device: Where it runs.

    Returns:
        Empty when the profiler saw nothing (another profiler holds the device, say).
    """
    where = torch.device(device)
    return _cuda(run, where) if where.type == "cuda" else _cpu(run)


def _cpu(run: Callable[[], object]) -> tuple[str, ...]:
    with torch.autograd.profiler.profile() as profiler:
        run()
    results = profiler.kineto_results
    names = (event.name() for event in results.events()) if results is not None else ()
    return tuple(dict.fromkeys(name for name in names if not _NOISE.search(name)))


def _cuda(run: Callable[[], object], device: torch.device) -> tuple[str, ...]:
    names: tuple[str, ...] = ()
    for _ in range(2):  # CUPTI starts lazily: the first session of a process may come back empty
        torch.cuda.synchronize(device)
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profiler:
            run()
            torch.cuda.synchronize(device)
        on_device = (event.name for event in profiler.events() if event.device_type.name == "CUDA")
        names = tuple(dict.fromkeys(name for name in on_device if not _NO_KERNEL.search(name)))
        if names:
            break
    return names


def short(names: tuple[str, ...]) -> tuple[str, ...]:
    """The names as people can read them: ATen's kernels without their template arguments, each once.

    An element-wise kernel of ATen is a kilobyte of C++; which functor it holds says nothing of how
    attention was computed. Other kernels keep the beginning, where their own parameters are.
    """
    cut = (_TEMPLATE.sub(r"\1", name.removeprefix("void "))[:_READABLE] for name in names)
    return tuple(dict.fromkeys(cut))


def believed(names: tuple[str, ...], pattern: str) -> bool:
    """Whether one of the names matches what the backend is known to launch; an empty pattern accepts."""
    return not pattern or any(re.search(pattern, name) for name in names)


def is_unfused(names: tuple[str, ...]) -> bool:
    """Whether the names are those of attention with a materialised score matrix.

    Either torch's own math implementation is named, or a softmax ran and no fused kernel did.
    """
    if any(_MATH.search(name) for name in names):
        return True
    fused = any(_FUSED.search(name) for name in names)
    return not fused and any(_SOFTMAX.search(name) for name in names)


def unexpected(names: tuple[str, ...], pattern: str) -> str:
    """Why another backend ran than the one asked for; empty when the names are as expected.

    Nothing seen is no evidence either way: that is for the caller to report.
    """
    if not names or believed(names, pattern):
        return ""
    seen = ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")
    fell_back = "fell back to unfused math: " if is_unfused(names) else ""
    return f"{fell_back}no kernel matches /{pattern}/; seen: {seen}"
