"""SDPA's flash kernel: FlashAttention-2 on CUDA, a tiled C++ kernel of its own on CPU.

Source: aten/src/ATen/native/transformers/sdp_utils.cpp (what it takes) and
aten/src/ATen/native/cpu/FlashAttentionKernel.cpp (gradients accumulate in the storage type).
"""

from attnprobe.device.backends._sdpa import Sdpa

BACKEND = Sdpa(
    name="sdpa-flash",
    kernel="FLASH_ATTENTION",
    kernels=r"flash_(fwd|bwd)|_flash_attention_for_cpu",
    contracts={"cpu": "cpu_flash", "cuda": "fused_tc"},
)
