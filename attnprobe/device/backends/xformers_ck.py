"""xFormers' Composable Kernel operator, for AMD.

Source: xformers@0.0.35:xformers/ops/fmha/ck.py.
"""

from attnprobe.device.backends._xformers import XformersOp

BACKEND = XformersOp(
    name="xformers-ck",
    module="ck",
    kernels=r"ck_tile|Fmha",
)
