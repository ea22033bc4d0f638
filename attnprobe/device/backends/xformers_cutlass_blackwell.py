"""xFormers' CUTLASS operator for Blackwell, which its own choice never takes.

Source: xformers@0.0.35:xformers/ops/fmha/cutlass_blackwell.py.
"""

from attnprobe.device.backends._xformers import XformersOp

BACKEND = XformersOp(
    name="xformers-cutlass-blackwell",
    module="cutlass_blackwell",
    kernels=r"[Bb]lackwell|[Ss]m100",
)
