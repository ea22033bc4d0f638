"""An environment variable switches kernels off, changes how they round, or slows them."""

from __future__ import annotations

from attnprobe.core.backend_fact import BackendFact
from attnprobe.core.environment import Environment

EFFECTS = {
    # xformers@0.0.35:xformers/__init__.py, _is_triton_available
    ("XFORMERS_FORCE_DISABLE_TRITON", "1"): "xFormers' Triton kernels are off",
    # xformers@0.0.35:xformers/ops/fmha/flash.py
    ("XFORMERS_IGNORE_FLASH_VERSION_CHECK", "1"): "an untested flash-attn is accepted",
    # aten/src/ATen/native/transformers/cuda/sdp_utils.cpp, check_prefer_cudnn_attention
    ("TORCH_CUDNN_SDPA_DEPRIORITIZED", None): "SDPA does not prefer cuDNN",
    # CUDA C++ Programming Guide, "Environment Variables"
    ("CUDA_LAUNCH_BLOCKING", "1"): "every launch waits: times are inflated",
    ("CUDA_VISIBLE_DEVICES", ""): "no GPU is visible",
    ("CUDA_VISIBLE_DEVICES", "-1"): "no GPU is visible",
    # cuBLAS and cuDNN: 0 forbids TF32 whatever the program asks for
    ("NVIDIA_TF32_OVERRIDE", "0"): "TF32 is off everywhere: float32 is slower",
    ("NVIDIA_TF32_OVERRIDE", "1"): "TF32 is on everywhere: float32 is rounded to 10 bits",
    ("TORCH_ALLOW_TF32_CUBLAS_OVERRIDE", "1"): "TF32 is on: float32 matmuls are rounded to 10 bits",
    (
        "PYTORCH_NO_CUDA_MEMORY_CACHING",
        None,
    ): "every allocation goes to the driver: times are inflated",
    ("TORCHDYNAMO_DISABLE", "1"): "torch.compile does nothing: flex attention runs uncompiled",
    ("TORCH_COMPILE_DISABLE", "1"): "torch.compile does nothing: flex attention runs uncompiled",
}
"""(variable, value; None for any) -> what it does."""


def matches(environment: Environment, facts: tuple[BackendFact, ...]) -> str | None:
    """Names each such variable and what it does."""
    found = [
        f"{name}={environment.variables[name]!r} ({effect})"
        for (name, value), effect in EFFECTS.items()
        if name in environment.variables and value in (None, environment.variables[name])
    ]
    return (
        f"Set in the environment: {'; '.join(found)}. Fix: unset what you do not mean."
        if found
        else None
    )
