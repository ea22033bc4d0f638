"""xFormers' split-K operator in Triton: forward only, for few queries and many keys.

Source: xformers@0.0.35:xformers/ops/fmha/triton_splitk.py.
"""

from attnprobe.device.backends._xformers import XformersOp

BACKEND = XformersOp(
    name="xformers-triton-splitk",
    module="triton_splitk",
    kernels=r"splitK",
)
