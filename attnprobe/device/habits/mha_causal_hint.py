"""nn.MultiheadAttention gets `is_causal=True` beside an `attn_mask` that is more than causal.

With `need_weights=False` and no `key_padding_mask` the hint makes it drop the mask.
Source: torch@2.13.0:torch/nn/functional.py (`multi_head_attention_forward`).
"""

from __future__ import annotations

from typing import Any

from torch import nn

from attnprobe.device.backends._mha import Leaves, Mha, forward

HINT = {"is_causal": True}


def _hinted(module: nn.MultiheadAttention, leaves: Leaves, arguments: dict[str, Any]) -> Any:
    return forward(need_weights=False)(module, leaves, arguments | HINT)


WRITTEN = Mha(
    name="written/mha-causal-hint",
    contracts={"cpu": "cpu_flash", "cuda": "mem_efficient"},
    call=_hinted,
)
