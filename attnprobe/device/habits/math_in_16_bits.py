"""The math kernel may keep 16-bit inputs in 16 bits: half the memory, less accuracy.

Source: torch@2.13.0:torch/backends/cuda/__init__.py (`allow_fp16_bf16_reduction_math_sdp`).
"""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.backends import cuda
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

CONTRACT = "unfused"


def written(query: Tensor, key: Tensor, value: Tensor, **arguments: Any) -> Tensor:
    """The switch is set back: it belongs to the process."""
    before = cuda.fp16_bf16_reduction_math_sdp_allowed()  # type: ignore[no-untyped-call] # torch's
    cuda.allow_fp16_bf16_reduction_math_sdp(True)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            return scaled_dot_product_attention(query, key, value, **arguments)
    finally:
        cuda.allow_fp16_bf16_reduction_math_sdp(before)
