"""SDPA's math kernel: matmul, softmax, matmul, with 16-bit inputs raised to float32 inside.

Source: aten/src/ATen/native/transformers/attention.cpp (`_scaled_dot_product_attention_math`); the
raise is off under `torch.backends.cuda.allow_fp16_bf16_reduction_math_sdp(True)`.
"""

from attnprobe.device.backends._sdpa import Sdpa

BACKEND = Sdpa(
    name="sdpa-math",
    kernel="MATH",
    kernels=r"_scaled_dot_product_attention_math|[Ss]oft_?[Mm]ax",
    contracts={"cpu": "fp32-internal", "cuda": "fp32-internal"},
)
