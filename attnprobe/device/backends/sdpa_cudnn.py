"""SDPA's cuDNN kernel: cuDNN's graph API, one plan for each shape, compiled on its first call.

Source: aten/src/ATen/native/cudnn/MHA.cpp; kernels are named `cudnn_generated_fort_native_sdpa_*`.
"""

from attnprobe.device.backends._sdpa import Sdpa

BACKEND = Sdpa(
    name="sdpa-cudnn",
    kernel="CUDNN_ATTENTION",
    kernels=r"cudnn",
    contracts={"cpu": "fused_tc", "cuda": "fused_tc"},
)
