"""Attention on jagged nested tensors stands inside torch.compile, and every batch has other lengths.

Source: torch@2.13.0:torch/nested/_internal/sdpa.py (lengths are read with `.item()`).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from attnprobe.device.habits._graphs import counted
from attnprobe.device.inputs import Inputs

BATCHES = 6


def written_shows(inputs: Inputs) -> dict[str, float]:
    """Graphs and graph breaks of a projection and attention on nested tensors."""

    def layer(rows: Tensor) -> Tensor:
        q = (rows * 2).transpose(1, 2)
        return scaled_dot_product_attention(q, q, q)

    calls = []
    for rows, lengths in _batches(inputs):
        offsets = torch.cat([lengths.new_zeros(1), lengths.cumsum(0)])
        calls.append((torch.nested.nested_tensor_from_jagged(rows, offsets),))
    return counted(layer, calls)


def mended_shows(inputs: Inputs) -> dict[str, float]:
    """The same on rows of plain tensors, with one mask of which rows belong together."""

    def layer(rows: Tensor, together: Tensor) -> Tensor:
        q = (rows * 2).transpose(0, 1)[None]
        return scaled_dot_product_attention(q, q, q, attn_mask=together)

    calls = []
    for rows, lengths in _batches(inputs):
        owner = torch.repeat_interleave(lengths)
        calls.append((rows, owner[:, None] == owner))
    return counted(layer, calls)


def _batches(inputs: Inputs) -> list[tuple[Tensor, Tensor]]:
    """(T, H, K) rows of the case's queries, and the lengths of the sequences in them."""
    found = []
    for n in range(BATCHES):
        lengths = torch.tensor([max(1, s.Mq - n * (1 + s.index)) for s in inputs.case.sequences])
        rows = torch.cat([inputs.q[0, :, : int(M)] for M in lengths], 1).transpose(0, 1)
        found.append((rows.contiguous(), lengths.to(rows.device)))
    return found
