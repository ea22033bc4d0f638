"""`python -m xformers.info` says "available", and that is taken for "works".

It asks whether an operator is registered; nothing is launched.
Source: xformers@0.0.35:xformers/info.py, `is_available` of xformers/ops/common.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

from attnprobe.device.backends._xformers import fmha
from attnprobe.device.inputs import Inputs

SHARE = "refusing share of those believed in"


def written_shows(inputs: Inputs) -> dict[str, float]:
    """Believed in: what calls itself available."""
    return {SHARE: _refusing((op for op in fmha().ALL_FW_OPS if op.is_available()), inputs.device)}


def mended_shows(inputs: Inputs) -> dict[str, float]:
    """Believed in: what has run one token."""
    return {
        SHARE: _refusing(
            (op for op in fmha().ALL_FW_OPS if _runs(op, inputs.device)), inputs.device
        )
    }


def _refusing(operators: Iterable[Any], device: torch.device) -> float:
    ran = [_runs(op, device) for op in operators]
    return ran.count(False) / max(1, len(ran))


def _runs(operator: Any, device: torch.device) -> bool:
    """One token and one head of 64 in half precision: small, and within every kernel's limits."""
    token = torch.ones(1, 1, 1, 64, dtype=torch.float16, device=device)
    try:
        fmha().memory_efficient_attention_forward(token, token, token, op=operator)
    except (NotImplementedError, ValueError, RuntimeError):
        return False
    return True
