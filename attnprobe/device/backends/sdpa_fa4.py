"""SDPA with FlashAttention 4 in place of its flash kernel; Hopper and Blackwell.

Source: torch@2.13.0:torch/nn/attention/_fa4.py.
"""

from attnprobe.device.backends._registry import RegisteredFlash

BACKEND = RegisteredFlash(
    name="sdpa-fa4",
    implementation="FA4",
    package="flash-attn-4",
    module="flash_attn.cute.interface",
    kernels=r"FlashAttention(Forward|Backward)|flash_?attn_?cute|kernel_cutlass",
)
