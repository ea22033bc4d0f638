"""NVML shows a GPU, and a CUDA build of torch sees none."""

from __future__ import annotations

from attnprobe.core.backend_fact import BackendFact
from attnprobe.core.environment import Environment
from attnprobe.remedies._phrases import fix_for


def matches(environment: Environment, facts: tuple[BackendFact, ...]) -> str | None:
    """Quotes what CUDA said, and the variable that may hide the GPU."""
    torch = environment.torch
    if torch is None or not torch.cuda or not environment.gpus:
        return None
    if any(gpu.multiprocessors for gpu in environment.gpus):
        return None
    said = next((gap for gap in environment.gaps if gap.startswith("torch.cuda")), "")
    hidden = environment.variables.get("CUDA_VISIBLE_DEVICES")
    fix = fix_for(said) or "run nvidia-smi and torch.cuda.init() by hand and compare"
    if hidden is not None:
        fix = f"CUDA_VISIBLE_DEVICES is {hidden!r}: unset it"
    return f"torch sees no GPU although the driver does ({said or 'no reason given'}). Fix: {fix}."
