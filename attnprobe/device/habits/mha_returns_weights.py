"""nn.MultiheadAttention is called with `need_weights=True`, its default.

That way takes a plain softmax, where a row without keys is NaN.
Source: torch@2.13.0:torch/nn/functional.py (`multi_head_attention_forward`).
"""

from __future__ import annotations

from attnprobe.device.backends._mha import Mha, forward

WRITTEN = Mha(  # held to torch's contract for rows without keys: zero
    name="written/mha-returns-weights",
    contracts={"cpu": "unfused", "cuda": "unfused"},
    call=forward(need_weights=True),
    materialises=True,
)
