"""Arguments of `torch.nn.attention.flex_attention.flex_attention`: any mask, any score.

Source: https://docs.pytorch.org/docs/stable/nn.attention.flex_attention.html; the score that a
`score_mod` sees is already scaled.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, create_block_mask

from attnprobe.core import units
from attnprobe.core.case import Case
from attnprobe.device.alibi import slopes
from attnprobe.device.inputs import Inputs
from attnprobe.device.lowering.base import Lowered, Refusal, lacks

MaskMod = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
ScoreMod = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Documents:
    """Which sequence every slot belongs to, and where in it; needed when lengths differ.

    One-dimensional look-ups per side: a captured (Bc, Tq, Tkv) table would overflow inductor's 32-bit
    index arithmetic at 46k tokens (https://github.com/NVIDIA-NeMo/Automodel/issues/3802).

    Args:
        q: (Bc, Tq) int32: sequence of each query slot, -1 for none.
        kv: (Bc, Tkv) int32: sequence of each key slot, -2 for none (never equal to a query's).
        i: (Bc, Tq) int32: position of the query in its sequence.
        j: (Bc, Tkv) int32: position of the key in its sequence.
        Mq: (Bc, Tq) int32: queries of the sequence that the query slot belongs to.
        Mkv: (Bc, Tq) int32: its keys.
    """

    q: Tensor
    kv: Tensor
    i: Tensor
    j: Tensor
    Mq: Tensor
    Mkv: Tensor

    @classmethod
    def of(cls, case: Case, device: torch.device) -> Documents:
        """The tables of a case with lengths."""
        batch, _, Tq, _ = case.q_shape
        Tkv = case.k_shape[2]

        def table(width: int, fill: int) -> Tensor:
            return torch.full((batch, width), fill, dtype=torch.int32)

        found = cls(table(Tq, -1), table(Tkv, -2), *(table(w, 0) for w in (Tq, Tkv, Tq, Tq)))
        for s in case.sequences:
            queries = (s.batch, slice(s.q_start, s.q_start + s.Mq))
            keys = (s.batch, slice(s.kv_start, s.kv_start + s.Mkv))
            found.q[queries], found.kv[keys] = s.index, s.index
            found.i[queries] = torch.arange(s.Mq, dtype=torch.int32)
            found.j[keys] = torch.arange(s.Mkv, dtype=torch.int32)
            found.Mq[queries], found.Mkv[queries] = s.Mq, s.Mkv
        return cls(*(getattr(found, name).to(device) for name in cls.__dataclass_fields__))


def mask_mod(case: Case, documents: Documents | None) -> MaskMod:
    """`Mask.allows` as flex wants it: within the sequence that both slots belong to."""
    mask, Mq, Mkv = case.mask, case.Mq, case.Mkv
    if documents is None:
        return lambda b, h, i, j: mask.allows(i, j, Mq, Mkv)
    d = documents

    def within(b: Tensor, h: Tensor, i: Tensor, j: Tensor) -> Tensor:
        allowed: Tensor = mask.allows(d.i[b, i], d.j[b, j], d.Mq[b, i], d.Mkv[b, i])
        return (d.q[b, i] == d.kv[b, j]) & allowed

    return within


def score_mod(inputs: Inputs, documents: Documents | None) -> ScoreMod | None:
    """softcap(score) + ALiBi + bias, in this order; None when the score is plain.

    A bias is captured as a view of `inputs.bias`, so its gradient arrives there.
    """
    case = inputs.case
    if case.score.is_plain:
        return None
    cap, d = case.score.softcap, documents
    sizes = () if inputs.bias is None else inputs.bias.shape
    full = [n for n, size in enumerate(sizes) if size > 1]
    table = None if inputs.bias is None else inputs.bias.squeeze()  # indexed by the full dims alone
    slope = slopes(case.Hq).to(inputs.q.device, torch.float32) if case.score.alibi else None
    Mq, Mkv = case.Mq, case.Mkv

    def modified(score: Tensor, b: Tensor, h: Tensor, i: Tensor, j: Tensor) -> Tensor:
        if cap is not None:
            score = cap * torch.tanh(score / cap)
        if slope is not None:
            if d is None:
                distance = i + (Mkv - Mq) - j
            else:
                distance = d.i[b, i] + d.Mkv[b, i] - d.Mq[b, i] - d.j[b, j]
            score = score - slope[h] * distance.abs()
        if table is not None:
            at = (b, h, i, j)
            score = score + (table[tuple(at[n] for n in full)] if full else table)
        return score

    return modified


def lower(
    inputs: Inputs,
    block_size: int = 128,
    create: Callable[..., BlockMask] = create_block_mask,
) -> Lowered | Refusal:
    """Keyword arguments beside query, key and value, in layout BHMK.

    Args:
        inputs: The case and its tensors.
        block_size: Tile of the BlockMask.
        create: `create_block_mask`, or its compiled self, which does not hold Tq x Tkv at once.
    """
    case = inputs.case
    reasons = lacks(case, "flex_attention", "dropout", "dense masks")
    if reasons:
        return Refusal(tuple(reasons))
    said: dict[str, Any] = {}
    if case.score.scale is not None:
        said["scale"] = case.score.scale
    if case.groups > 1:
        said["enable_gqa"] = True
    documents = Documents.of(case, inputs.q.device) if case.lengths else None
    modified = score_mod(inputs, documents)
    forms, occupied = [], 0
    if modified is not None:
        said["score_mod"] = modified
        forms.append("score_mod")
    if documents is not None or not case.mask.is_none:
        blocks = create(
            mask_mod(case, documents),
            B=case.q_shape[0] if documents is not None else None,
            H=None,
            Q_LEN=case.q_shape[2],
            KV_LEN=case.k_shape[2],
            device=str(inputs.q.device),
            BLOCK_SIZE=block_size,
        )
        said["block_mask"] = blocks
        parts = (part for part in blocks.as_tuple() if isinstance(part, Tensor))
        occupied = sum(part.numel() * part.element_size() for part in parts)
        forms.insert(0, f"BlockMask {units.size(occupied)}")
    return Lowered(said, " + ".join(forms) or "no mask", occupied)
