"""SDPA's mem-efficient kernel: the CUTLASS kernel that xFormers gave to torch.

Source: aten/src/ATen/native/transformers/cuda/mem_eff_attention, whose kernels are named
`fmha_cutlassF_*` and `fmha_cutlassB_*`.
"""

from attnprobe.device.backends._sdpa import Sdpa

BACKEND = Sdpa(
    name="sdpa-mem-efficient",
    kernel="EFFICIENT_ATTENTION",
    kernels=r"fmha_cutlass|mem_eff|efficient_attention",
    contracts={"cpu": "mem_efficient", "cuda": "mem_efficient"},
)
