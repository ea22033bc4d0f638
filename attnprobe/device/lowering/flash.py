"""Arguments of flash-attn's `flash_attn_func` and `flash_attn_varlen_func`, releases 2, 3 and 4.

`causal` and `window_size` count from the bottom-right corner, both sides inclusive; heads may be
grouped; there are no mask tensors. Packed rows go to the varlen function: `"cu_seqlens_q" in arguments`.
Sources, all of https://github.com/Dao-AILab/flash-attention: 2 is flash_attn/flash_attn_interface.py
(v2.8.3), 3 is hopper/flash_attn_interface.py (01afd16), 4 is flash_attn/cute/interface.py (4.0.0b36).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from attnprobe.core.case import Case
from attnprobe.device.alibi import slopes
from attnprobe.device.inputs import Inputs
from attnprobe.device.lowering.band import Band, bottom_right
from attnprobe.device.lowering.base import Feature, Lowered, Refusal, lacks
from attnprobe.device.lowering.packed import Packed, padded_lengths


@dataclass(frozen=True)
class Dialect:
    """In what the releases differ.

    Args:
        name: For reasons.
        missing: What the functions have no argument for.
        unbounded: The window side that means all keys.
        seqused: Whether the varlen function takes `seqused_k`.
    """

    name: str
    missing: tuple[Feature, ...]
    unbounded: int | None
    seqused: bool


DIALECTS = {
    2: Dialect("flash-attn 2", ("bias", "dense masks"), -1, seqused=False),
    3: Dialect("flash-attn 3", ("bias", "dense masks", "alibi", "dropout"), -1, seqused=True),
    4: Dialect("flash-attn 4", ("bias", "dense masks", "alibi", "dropout"), None, seqused=True),
}


def lower(inputs: Inputs, version: int = 2) -> Lowered | Refusal:
    """Keyword arguments beside q, k and v: (B, M, H, K), or (T, H, K) for packed storage.

    Args:
        inputs: The case and its tensors.
        version: 2, 3 or 4.
    """
    case, dialect = inputs.case, DIALECTS[version]
    reasons = lacks(case, dialect.name, *dialect.missing) + padded_lengths(case, dialect.name)
    if case.storage == "packed-padded-keys" and not dialect.seqused:
        reasons.append(
            f"{dialect.name}'s varlen function takes no seqused_k: keys in slots need "
            "flash_attn_with_kvcache, which has no backward"
        )
    if dialect.name == "flash-attn 2" and case.score.softcap is not None and case.dropout_p:
        reasons.append("flash-attn 2 has soft cap and dropout, but not together")
    band = bottom_right(case)
    if isinstance(band, str):
        reasons.append(band)
    if reasons or isinstance(band, str):
        return Refusal(tuple(reasons))
    said = _window(band, dialect) | _score(case, inputs.q.device)
    form = ", ".join(f"{key}={said[key]}" for key in ("causal", "window_size") if key in said)
    if case.storage != "padded":
        packed = Packed.of(case, inputs.q.device)
        said |= {
            "cu_seqlens_q": packed.cu_q,
            "cu_seqlens_k": packed.cu_kv,
            "max_seqlen_q": packed.max_q,
            "max_seqlen_k": packed.max_kv,
        }
        if packed.used_kv is not None:
            said["seqused_k"] = packed.used_kv
        form = f"cu_seqlens, {form}" if form else "cu_seqlens"
    return Lowered(said, form or "no mask")


def _window(band: Band, dialect: Dialect) -> dict[str, Any]:
    """`causal` for a right side of 0, `window_size` for whatever else is bounded."""
    said: dict[str, Any] = {"causal": True} if band.right == 0 else {}
    if band.left is not None or band.right not in (None, 0):
        sides = (band.left, band.right)
        said["window_size"] = tuple(dialect.unbounded if s is None else s for s in sides)
    return said


def _score(case: Case, device: torch.device) -> dict[str, Any]:
    """Scale, soft cap, dropout and slopes, where they differ from the defaults."""
    said: dict[str, Any] = {}
    if case.score.scale is not None:
        said["softmax_scale"] = case.score.scale
    if case.score.softcap is not None:
        said["softcap"] = case.score.softcap
    if case.dropout_p:
        said["dropout_p"] = case.dropout_p
    if case.score.alibi:
        said["alibi_slopes"] = slopes(case.Hq).to(device, torch.float32)
    return said
