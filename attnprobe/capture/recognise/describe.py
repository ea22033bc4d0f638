"""What was read from the device, in words: the record of a mask."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from attnprobe.capture.recognise.bias import added
from attnprobe.capture.recognise.explain import Structure, explain
from attnprobe.capture.recognise.reductions import Reductions
from attnprobe.capture.recognise.rows import Rows
from attnprobe.core.capture import CapturedMask, MaskKind
from attnprobe.core.mask import Mask
from attnprobe.masks.block_diagonal import BlockDiagonal
from attnprobe.masks.dilated import Dilated
from attnprobe.masks.prefix_lm import PrefixLM
from attnprobe.masks.sinks import Sinks

KEPT = 512
"""Lengths of sequences that a record keeps at most."""

PLANES = 64
"""Different planes up to which each is explained alone when all of them have no common word."""


@dataclass(frozen=True)
class Looked:
    """A mask that was looked at.

    Args:
        shape: As passed.
        kept: (B', H', M', N') without broadcast and expanded dims.
        dtype: As passed.
        requires_grad: As passed.
        Mq: Queries of the call.
        Mkv: Keys of the call.
    """

    shape: tuple[int, ...]
    kept: tuple[int, ...]
    dtype: torch.dtype
    requires_grad: bool
    Mq: int
    Mkv: int

    @property
    def form(self) -> str:
        """`bool`, `float32` ..."""
        return str(self.dtype).removeprefix("torch.")

    @property
    def broadcast(self) -> str:
        """`1,1,M,N`: the dims that it really has."""
        return ",".join(
            name if size > 1 else "1" for name, size in zip("BHMN", self.kept, strict=True)
        )


Document = tuple[int, int, int, int]
"""First query, queries, first key, keys."""


def describe(looked: Looked, found: Reductions) -> CapturedMask:
    """The record.

    Args:
        looked: The mask that was reduced.
        found: What came out, on the CPU.
    """
    every = _rows(looked, found)
    batches, heads = looked.kept[:2]
    by_head = every.first.reshape(batches, heads, -1), every.total.reshape(batches, heads, -1)
    same_heads = all(bool((part == part[:, :1]).all()) for part in by_head)
    rows, which = _distinct(every.take(slice(0, None, heads)) if same_heads else every)
    structure = explain(rows) if same_heads else None  # no record has lengths per head
    kind, words = _words(rows, which, structure)
    notes = [words.note]
    if not same_heads:
        notes.append("heads differ")
    values = found.values
    along = structure is not None and _one_piece(structure)
    bias = None
    if values is not None:
        eps = torch.finfo(looked.dtype).eps
        bias = added(values, every, looked.kept, along, eps)
        notes += [bias.note, "NaN in the mask" if bool(values.nan) else ""]
    pairs = every.count.numel() * looked.Mkv
    forbidding = tuple(values.forbidding.tolist()) if values is not None else ()
    return CapturedMask(
        kind=kind,
        form=looked.form,
        mask=structure.mask if structure else None,
        shape=looked.shape,
        broadcast=looked.broadcast,
        lengths=words.lengths[:KEPT],
        padding_left=words.padding_left[:KEPT],
        queries=words.queries[:KEPT],
        queries_before=words.queries_before[:KEPT],
        documents=words.documents[:KEPT],
        holes=structure.holes if structure else False,
        parts=words.parts,
        fraction_masked=1 - int(every.count.sum()) / pairs,
        empty_rows=int((every.count == 0).sum()),
        has_nan=values is not None and bool(values.nan),
        forbidding=forbidding if forbidding and forbidding[0] <= forbidding[1] else (),
        values=bias.kind if bias else "",
        values_dims=bias.dims if bias else "",
        slopes=bias.slopes[:64] if bias else (),
        requires_grad=looked.requires_grad,
        note="; ".join(filter(None, notes)),
    )


@dataclass(frozen=True)
class _Words:
    lengths: tuple[int, ...] = ()
    padding_left: tuple[int, ...] = ()
    queries: tuple[int, ...] = ()
    queries_before: tuple[int, ...] = ()
    documents: tuple[tuple[Document, ...], ...] = ()
    parts: tuple[str, ...] = ()
    note: str = ""


def _words(rows: Rows, which: Tensor, structure: Structure | None) -> tuple[MaskKind, _Words]:
    """The kind of a mask, and the lengths of its sequences for each batch element."""
    if not bool(rows.allowing.any()):
        return "empty", _Words()
    if structure is None:
        return _apart(rows)
    mask, boxes = structure.mask, structure.boxes
    if structure.documents:
        found = tuple(_documents(structure, plane) for plane in which.tolist())
        return "block-diagonal", _Words(documents=found)
    if structure.holes:
        lengths = rows.columns.sum(-1)[which]
        note = "the allowed keys of a sequence do not follow each other"
        return _kind(mask, padded=True), _Words(lengths=tuple(lengths.tolist()), note=note)
    q_start, Mq, kv_start, Mkv = (
        side[:, 0][which] for side in (boxes.q_start, boxes.Mq, boxes.kv_start, boxes.Mkv)
    )
    padded = bool((Mkv != rows.Mkv).any())
    queries = bool((Mq != rows.Mq).any())
    words = _Words(
        lengths=tuple(Mkv.tolist()) if padded or queries else (),
        padding_left=tuple(kv_start.tolist()) if bool(kv_start.any()) else (),
        queries=tuple(Mq.tolist()) if queries else (),
        queries_before=tuple(q_start.tolist()) if bool(q_start.any()) else (),
        note=_polarity(mask),
    )
    return _kind(mask, padded or queries), words


def _apart(rows: Rows) -> tuple[MaskKind, _Words]:
    """Planes that have no common word: what each of them is."""
    if 1 < rows.planes <= PLANES:
        alone = [explain(rows.take(slice(n, n + 1))) for n in range(rows.planes)]
        if all(alone):
            parts = tuple(dict.fromkeys(s.mask.text for s in alone if s))
            return "mixed", _Words(parts=parts, note=f"{rows.planes} different planes")
    return "arbitrary", _Words()


def _kind(mask: Mask, padded: bool) -> MaskKind:
    for predicate in mask.predicates:
        match predicate:
            case PrefixLM():
                return "prefix"
            case BlockDiagonal():
                return "chunked" if mask.right == 0 else "block-diagonal"
            case Dilated():
                return "dilated"
            case Sinks():
                return "sinks"
    if mask.is_none:
        return "key-padding" if padded else "all-true"
    return "causal" if mask.is_causal else "window"


def _polarity(mask: Mask) -> str:
    """A note when a mask is the opposite of a usual one."""
    if mask.is_band and mask.right is None and mask.left == -1:
        return "the opposite of a causal mask: every query attends what lies behind it alone"
    return ""


def _one_piece(structure: Structure) -> bool:
    """Whether the allowed part of every diagonal is in one piece: a band or a prefix in one box."""
    bands = all(isinstance(predicate, PrefixLM) for predicate in structure.mask.predicates)
    return bands and not structure.documents and not structure.holes


def _documents(structure: Structure, plane: int) -> tuple[Document, ...]:
    """The documents of a plane, in order."""
    boxes = structure.boxes
    sides = (boxes.q_start, boxes.Mq, boxes.kv_start, boxes.Mkv)
    every = zip(*(side[plane].tolist() for side in sides), strict=True)
    return tuple(dict.fromkeys(document for document in every if document[1]))


def _rows(looked: Looked, found: Reductions) -> Rows:
    """All planes, with as many queries and keys as the call has."""
    rows, columns = found.rows.flatten(0, 1), found.columns.flatten(0, 1)
    first, last, count, total = rows.expand(-1, looked.Mq, -1).unbind(-1)
    if looked.kept[3] < looked.Mkv:  # broadcast along the keys: all or nothing
        last = torch.where(count > 0, looked.Mkv - 1, -1)
        count = count * looked.Mkv
        columns = columns.expand(-1, looked.Mkv)
    parts = (part.contiguous() for part in (first, last, count, total, columns))
    return Rows(looked.Mkv, *parts)


def _distinct(rows: Rows) -> tuple[Rows, Tensor]:
    """The planes that differ, and which of them each plane is."""
    table = torch.stack([rows.first, rows.last, rows.count, rows.total], -1).flatten(1)
    if bool((table == table[:1]).all()):
        return rows.take(slice(0, 1)), torch.zeros(rows.planes, dtype=torch.int64)
    _, which = torch.unique(table, dim=0, return_inverse=True)
    at = torch.zeros(int(which.max()) + 1, dtype=torch.int64)
    at[which] = torch.arange(rows.planes)
    return rows.take(at), which
