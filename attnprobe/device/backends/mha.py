"""nn.MultiheadAttention(need_weights=False), which calls SDPA with SDPA's own choice of kernel.

Source: torch@2.13.0:torch/nn/functional.py, `multi_head_attention_forward`.
"""

from attnprobe.device.backends._mha import Mha, forward

BACKEND = Mha(
    name="mha",
    contracts={"cpu": "cpu_flash", "cuda": "fused_tc"},
    call=forward(need_weights=False),
)
