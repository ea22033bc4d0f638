"""xFormers with its own choice of operator, which it makes from a priority list.

Source: xformers@0.0.35:xformers/ops/fmha/dispatch.py (`_dispatch_fw`).
"""

from attnprobe.device.backends._xformers import XformersOp

BACKEND = XformersOp(
    name="xformers-default",
    module="",
    kernels=r"fmha|flash|splitK|Attn",
)
