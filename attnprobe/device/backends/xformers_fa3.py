"""xFormers' FlashAttention-3 operator, for Hopper.

Source: xformers@0.0.35:xformers/ops/fmha/flash3.py.
"""

from attnprobe.device.backends._xformers import XformersOp

BACKEND = XformersOp(
    name="xformers-fa3",
    module="flash3",
    kernels=r"FlashAttn(Fwd|Bwd)Sm|flash_(fwd|bwd)",
)
