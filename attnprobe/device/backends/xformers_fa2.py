"""xFormers' FlashAttention-2 operator: its own build, or torch's (`-pt`).

Source: xformers@0.0.35:xformers/ops/fmha/flash.py.
"""

from attnprobe.device.backends._xformers import XformersOp

BACKEND = XformersOp(
    name="xformers-fa2",
    module="flash",
    kernels=r"flash_(fwd|bwd)",
)
