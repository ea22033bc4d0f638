"""FlashAttention 3, from its own package; written for Hopper.

Source: https://github.com/Dao-AILab/flash-attention, hopper/flash_attn_interface.py.
"""

from attnprobe.device.backends._flash_attn import FlashAttn

BACKEND = FlashAttn(
    version=3,
    package="flash-attn-3",
    module="flash_attn_interface",
    kernels=r"FlashAttn(Fwd|Bwd)Sm",
)
