"""FlashAttention 4, from its own package: CuTe DSL, compiled in the first call.

Source: https://github.com/Dao-AILab/flash-attention, flash_attn/cute/interface.py.
"""

from attnprobe.device.backends._flash_attn import FlashAttn

BACKEND = FlashAttn(
    version=4,
    package="flash-attn-4",
    module="flash_attn.cute.interface",
    kernels=r"FlashAttention(Forward|Backward)|flash_?attn_?cute|kernel_cutlass",
    compiles=True,
)
