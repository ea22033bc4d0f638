"""SDPA's cuDNN kernel: cuDNN's graph API, one plan for each shape, compiled on its first call.

Source: aten/src/ATen/native/cudnn/MHA.cpp; kernels are named `cudnn_generated_fort_native_sdpa_*`. The
graph multiplies dS by the scale before it is rounded to the inputs' type, as CUTLASS does
(cudnn-frontend:include/cudnn_frontend/node/scaled_dot_product_flash_attention.h, `mul_dS_attn_scale`),
so it is held to the same class: in float16 `scale * dS` reaches the subnormals sooner than dS.
"""

from attnprobe.device.backends._sdpa import Sdpa

BACKEND = Sdpa(
    name="sdpa-cudnn",
    kernel="CUDNN_ATTENTION",
    kernels=r"cudnn",
    contracts={"cpu": "mem_efficient", "cuda": "mem_efficient"},
)
