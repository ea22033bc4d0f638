"""Small tensors that say all about a mask, queued on its device and read later.

Nothing here waits for the device, draws a random number or keeps the mask: what comes out are a few
numbers per row and per edge.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from attnprobe.capture.recognise.rows import weights

CHUNK = 2**22
"""Elements that are looked at in one go where a 64-bit copy is needed (32 MiB)."""

LOW = {torch.float16: -6e4}
"""Values up to this (-0.9e8 of other dtypes) forbid a pair, whatever there is: -inf, finfo.min, -1e9."""

LOWEST_BIAS = -50.0
"""Values up to this forbid a pair where nothing lies near: exp(-50) is 2e-22. BERT's habit is -10000
(transformers@3.0.0:modeling_utils.py), 9984 in bfloat16; Swin's shifted windows use -100
(microsoft/Swin-Transformer:models/swin_transformer.py)."""


@dataclass(frozen=True)
class Values:
    """What a float mask holds, (P, ...) over planes; floats are float64, flags boolean.

    Args:
        nan: () whether there is NaN.
        binary: () whether it holds 0 and 1 alone.
        forbidding: (2,) least and largest value that forbids; (inf, -inf) where none does.
        adding: (2,) the same of the values that are added where pairs are allowed.
        same: (4,) whether the added values are the same along B, H, M and N.
        diagonal: () whether neighbours along a diagonal, both allowed, are the same.
        edges: (4, P, max(Mq, Mkv)) the added values of the first row, last row, first column and last
            column; -inf where forbidden.
        columns: (P, Mkv) the largest added value of each column.
    """

    nan: Tensor
    binary: Tensor
    forbidding: Tensor
    adding: Tensor
    same: Tensor
    diagonal: Tensor
    edges: Tensor
    columns: Tensor


@dataclass(frozen=True)
class Reductions:
    """What was queued.

    Args:
        rows: (B', H', M', 4) int64: first, last, count, total (rows.Rows); dims that broadcast are 1.
        columns: (B', H', N') bool.
        values: What a float mask holds; None for a boolean one.
    """

    rows: Tensor
    columns: Tensor
    values: Values | None


def reduce(mask: Tensor) -> Reductions:
    """Queues all reductions.

    Args:
        mask: (B', H', M', N'), boolean or float, no expanded dims.
    """
    if mask.dtype == torch.bool:
        return Reductions(_rows(mask), mask.any(-2), None)
    cut = _cut(mask)
    allowed = mask > cut
    return Reductions(_rows(allowed), allowed.any(-2), _values(mask, allowed, cut))


def _rows(allowed: Tensor) -> Tensor:
    *lead, N = allowed.shape
    flat, weight = allowed.reshape(-1, N), weights(N, allowed.device)
    parts = [_chunk(part, weight) for part in torch.split(flat, max(1, CHUNK // N))]
    return torch.cat(parts).reshape(*lead, 4)


def _chunk(allowed: Tensor, weight: Tensor) -> Tensor:
    """(R, 4) of (R, N)."""
    bytes_, N = allowed.view(torch.uint8), allowed.shape[-1]
    count = torch.count_nonzero(allowed, -1)
    first = bytes_.argmax(-1)
    last = N - 1 - bytes_.flip(-1).argmax(-1)
    total = torch.where(allowed, weight, 0).sum(-1)
    return torch.stack([first, torch.where(count > 0, last, -1), count, total], -1)


def _cut(mask: Tensor) -> Tensor:
    """(): values up to this forbid.

    `LOW`, unless the least value above it is below `LOWEST_BIAS` and lies apart from all that are
    milder, as -1e4 and -100 do and ALiBi over thousands of keys does not.
    """
    low = LOW.get(mask.dtype, -0.9e8)
    floor = torch.full((), low, dtype=mask.dtype, device=mask.device)
    least = torch.where(mask > floor, mask, 0).amin()
    milder = least / 4
    strictest = torch.where(mask <= milder, mask, -torch.inf).amax()
    mildest = torch.where(mask > milder, mask, torch.inf).amin()
    apart = (least <= LOWEST_BIAS) & (mildest > strictest * 0.1)
    return torch.where(apart, milder, floor)


def _values(mask: Tensor, allowed: Tensor, cut: Tensor) -> Values:
    """One copy of the mask at a time: its memory is taken beside the script's own."""
    forbids = mask <= cut
    forbidding = (
        torch.where(forbids, mask, torch.inf).amin(),
        torch.where(forbids, mask, -torch.inf).amax(),
    )
    del forbids
    low = torch.where(allowed, mask, torch.inf)
    least = [low.amin(dim) for dim in range(4)]
    del low
    high = torch.where(allowed, mask, -torch.inf)
    most = [high.amax(dim) for dim in range(4)]
    same = [((a == b) | (b == -torch.inf)).all() for a, b in zip(least, most, strict=True)]
    near = high[..., 1:, 1:] == high[..., :-1, :-1]
    both = allowed[..., 1:, 1:] & allowed[..., :-1, :-1]
    return Values(
        nan=torch.isnan(mask).any(),
        binary=((mask == 0) | (mask == 1)).all(),
        forbidding=torch.stack(forbidding).double(),
        adding=torch.stack([least[2].amin(), most[2].amax()]).double(),
        same=torch.stack(same),
        diagonal=(near | ~both).all(),
        edges=_edges(high),
        columns=most[2].flatten(0, 1).double(),
    )


def _edges(high: Tensor) -> Tensor:
    planes = high.flatten(0, 1)
    sides = (planes[:, 0], planes[:, -1], planes[:, :, 0], planes[:, :, -1])
    length = max(planes.shape[1:])
    return torch.stack(
        [torch.nn.functional.pad(s, (0, length - s.shape[1])) for s in sides]
    ).double()
