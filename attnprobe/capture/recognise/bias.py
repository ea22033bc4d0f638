"""What a float mask adds where it allows: nothing, a slope, a function of the distance, anything."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from attnprobe.capture.recognise.reductions import Values
from attnprobe.capture.recognise.rows import Rows
from attnprobe.core.capture import ZERO_AND_ONE, ValuesKind


@dataclass(frozen=True)
class Added:
    """The added values in words.

    Args:
        kind: What they are.
        slopes: Per head, for ALiBi.
        dims: Along which of B, H, M and N they differ: `1,H,M,N`.
        note: What else a reader must know.
    """

    kind: ValuesKind = ""
    slopes: tuple[float, ...] = ()
    dims: str = ""
    note: str = ""


def added(values: Values, rows: Rows, shape: tuple[int, ...], along: bool, eps: float) -> Added:
    """Names what is added.

    Args:
        values: Of the mask, on the CPU.
        rows: Of all its planes or of those that differ.
        shape: (B', H', M', N') of the mask.
        along: Whether the allowed part of every diagonal is in one piece, so that equal neighbours
            make it constant.
        eps: Spacing of the mask's floats at 1.
    """
    low, high = values.adding.tolist()
    if low > high:
        return Added()  # no pair is allowed
    if low == high:
        note = f"adds {low:g} wherever it allows, which changes no result" if low else ""
        return Added(note=note)
    dims = ",".join("1" if same else n for same, n in zip(values.same, "BHMN", strict=True))
    note = ""
    if bool(values.binary):
        note = ZERO_AND_ONE
    per_row = bool(values.same[2])
    if per_row:
        key = torch.arange(shape[3], dtype=torch.float64)
        slopes = _slopes(key.expand_as(values.columns), values.columns, shape[1], eps)
        return Added("alibi" if slopes else "dense", slopes, dims, note)
    if not (along and bool(values.diagonal)):
        return Added("dense", (), dims, note)
    for shift in dict.fromkeys((0, shape[3] - shape[2])):
        found = _slopes_by_distance(values.edges, rows, shape, shift, eps)
        if found:
            return Added("alibi", found, dims, note)
    return Added("relative", (), dims, note)


def _slopes_by_distance(
    edges: Tensor, rows: Rows, shape: tuple[int, ...], shift: int, eps: float
) -> tuple[float, ...]:
    """Slopes of `-slope * |j - i - shift|`; empty where that is not what is added."""
    M, N = shape[2:]
    row, key = torch.arange(M), torch.arange(N)
    known = torch.full((edges.shape[1], M + N - 1), -torch.inf, dtype=torch.float64)
    for edge, distance in zip(
        edges, (key, key - (M - 1), -row, N - 1 - row), strict=True
    ):  # first row, last row, first column, last column
        at = distance + M - 1
        known[:, at] = torch.maximum(known[:, at], edge[:, : len(at)])
    row = torch.arange(rows.Mq)
    nearest = torch.where(rows.allowing, rows.first - row, N).amin(-1, keepdim=True)
    farthest = torch.where(rows.allowing, rows.last - row, -M).amax(-1, keepdim=True)
    distance = torch.arange(1 - M, N)
    needed = (distance >= nearest) & (distance <= farthest)
    if bool((needed & (known == -torch.inf)).any()):
        return ()  # a distance that no edge shows
    away = (distance - shift).abs().double().expand_as(known)
    return tuple(-slope for slope in _slopes(away, known, shape[1], eps))


def _slopes(x: Tensor, y: Tensor, heads: int, eps: float) -> tuple[float, ...]:
    """Slope of y over x per head, to the last place of the largest y; empty where y is no line.

    Args:
        x: (P, n).
        y: (P, n); -inf where nothing is known.
        heads: How many planes a batch element has; all elements must agree.
        eps: Spacing of the floats that y was stored in, at 1.
    """
    slopes = dict[int, float]()
    for plane, (xs, ys) in enumerate(zip(x, y, strict=True)):
        seen = ys > -torch.inf
        xs, ys = xs[seen], ys[seen]
        if len(xs) < 2 or xs.max() == xs.min():
            continue  # no two distances: nothing to learn, and nothing to contradict
        near, far = int(xs.argmin()), int(xs.argmax())
        known = slopes.get(plane % heads)
        slope = float((ys[far] - ys[near]) / (xs[far] - xs[near])) if known is None else known
        line = ys[near] + slope * (xs - xs[near])
        if bool(((line - ys).abs() > eps * ys.abs().max()).any()):
            return ()
        slopes[plane % heads] = slope
    found = tuple(slopes[head] for head in sorted(slopes))
    return found if len(found) == heads and any(found) else ()
