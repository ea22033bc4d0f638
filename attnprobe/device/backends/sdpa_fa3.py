"""SDPA with FlashAttention 3 in place of its flash kernel; Hopper only.

Source: torch@2.13.0:torch/nn/attention/_fa3.py.
"""

from attnprobe.device.backends._registry import RegisteredFlash

BACKEND = RegisteredFlash(
    name="sdpa-fa3",
    implementation="FA3",
    package="flash-attn-3",
    module="flash_attn_interface",
    kernels=r"FlashAttn(Fwd|Bwd)Sm",
)
