"""Head dims are padded with zeros to a multiple of 8, and SDPA takes its scale from the padded size.

Source: torch@2.13.0:torch/nn/attention/_utils.py (`_calculate_scale` takes the size before padding).
"""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn.functional import pad, scaled_dot_product_attention


def written(query: Tensor, key: Tensor, value: Tensor, **arguments: Any) -> Tensor:
    """Zeros change no product, but the size that the default scale is made of."""
    q, k, v = (pad(t, (0, -t.size(-1) % 8)) for t in (query, key, value))
    return scaled_dot_product_attention(q, k, v, **arguments)[..., : value.size(-1)]
