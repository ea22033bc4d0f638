"""Rotary embeddings or norms leave q and k in float32, v is 16 bits wide, and autocast is on.

SDPA is on autocast's list and casts all three; the operators of other libraries are not.
Source: https://docs.pytorch.org/docs/stable/amp.html (op eligibility);
xformers@0.0.35:xformers/ops/fmha/common.py, `Inputs.validate_inputs`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from attnprobe.device.habits import _xformers


def written(query: Tensor, key: Tensor, value: Tensor, **arguments: Any) -> Tensor:
    """float32 cosines make float32 queries and keys."""
    with torch.autocast(query.device.type, value.dtype):
        return _xformers.well_formed(query.float(), key.float(), value, **arguments)


def mended(query: Tensor, key: Tensor, value: Tensor, **arguments: Any) -> Tensor:
    """They are cast back to the dtype of v before the call."""
    with torch.autocast(query.device.type, value.dtype):
        q, k = query.float().to(value.dtype), key.float().to(value.dtype)
        return _xformers.well_formed(q, k, value, **arguments)
