"""nn.MultiheadAttention(need_weights=False), which calls SDPA with SDPA's own choice of kernel.

It is held to the loosest kernel that may be chosen: a float mask in float16 goes to mem-efficient.
Source: torch@2.13.0:torch/nn/functional.py, `multi_head_attention_forward`.
"""

from attnprobe.device.backends._mha import Mha, forward

BACKEND = Mha(
    name="mha",
    contracts={"cpu": "cpu_flash", "cuda": "mem_efficient"},
    call=forward(need_weights=False),
)
