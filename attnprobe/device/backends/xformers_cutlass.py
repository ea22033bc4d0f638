"""xFormers' CUTLASS operator: float32 too, tensor biases and their gradient.

Source: xformers@0.0.35:xformers/ops/fmha/cutlass.py.
"""

from attnprobe.device.backends._xformers import XformersOp

BACKEND = XformersOp(
    name="xformers-cutlass",
    module="cutlass",
    kernels=r"fmha_cutlass",
)
