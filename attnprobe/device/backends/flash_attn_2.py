"""FlashAttention 2, from its own package; Ampere and newer.

Source: https://github.com/Dao-AILab/flash-attention, flash_attn/flash_attn_interface.py@v2.8.3.
"""

from attnprobe.device.backends._flash_attn import FlashAttn

BACKEND = FlashAttn(
    version=2,
    package="flash-attn",
    module="flash_attn.flash_attn_interface",
    kernels=r"flash_(fwd|bwd)",
)
