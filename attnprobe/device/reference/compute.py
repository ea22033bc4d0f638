"""Reference attention in float64, tile by tile."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from attnprobe.core.case import Case
from attnprobe.device.inputs import Inputs
from attnprobe.device.numerics import arithmetic, formats
from attnprobe.device.reference import backward, bias
from attnprobe.device.reference.choice import home
from attnprobe.device.reference.forward import Forward, forward
from attnprobe.device.reference.record import Reference
from attnprobe.device.reference.regions import (
    budget,
    regions,
    tiles,
    wholly_masked,
)
from attnprobe.device.reference.rows import Rows, rows_of
from attnprobe.device.reference.scores import Scores
from attnprobe.device.reference.store import Store
from attnprobe.device.reference.sums import Sums
from attnprobe.device.reference.weights import Tiles


def sparse(inputs: Inputs, rows: Tensor) -> Inputs:
    """The same inputs with a cotangent that is zero outside `rows` (of every sequence).

    With it, dk and dv of *all* keys follow from a few queries, while the backend still runs its
    whole
    backward: how long sequences are checked at O(rows * Mkv) cost.
    """
    held = _held(inputs.case, rows)
    dout = torch.zeros_like(inputs.dout)
    dout[:, :, held] = inputs.dout[:, :, held]
    return replace(inputs, dout=dout)


@torch.no_grad()
def compute(
    inputs: Inputs,
    rows: Tensor | None = None,
    scratch: int | None = None,
    drawn: Tensor | None = None,
    dlse: Tensor | None = None,
) -> Reference:
    """The truth for a case, with the sums that every contract's bounds are made of.

    Two passes over tiles of queries and keys: forward (row statistics first), then backward with
    key tiles outside. Nothing of size Mq x Mkv exists; beyond inputs and results the memory is
    `regions.SCRATCH_BYTES`, whatever the lengths. Tiles that the mask's band forbids are skipped.

    Args:
        inputs: The tensors of the case, on CPU or CUDA.
        rows: Positions of queries within each sequence, ascending int64, outside which the
            cotangent is zero (use `sparse`); out, lse and dq are then computed for these alone.
            None for all.
        scratch: Bytes for temporaries; None for the default of the device.
        drawn: (Bc, Hq, Tq, Tkv) bool: the pairs that dropout kept, read off the backend
            (`numerics.dropout.drawn`). Without it a case with dropout gets the truth without, which the
            judge does not compare with.
        dlse: (Bc, Hq, Tq) gradient that flows back into the log-sum-exp; None for 0. It adds P * dlse to
            dS, which is a D smaller by dlse.

    Returns:
        The reference, on the device of the inputs.
    """
    case = inputs.case
    kinds = arithmetic.kinds(case.dtype)
    form = formats.of(case.dtype)
    level = arithmetic.confidence(case.B * case.Hq * case.Mq * case.Mkv)
    room = budget(inputs.q.device.type, scratch)
    index = None if rows is None else _held(case, rows.to(inputs.q.device))
    store = Store(inputs, index, len(kinds), form)
    for region in regions(case, room):
        own = torch.arange(region.Mq, device=inputs.q.device)
        if rows is not None:
            own = rows.to(inputs.q.device)
            own = own[own < region.Mq]
        place = store.place(region, len(own))
        if len(own) == 0 or region.size == 0:
            continue
        scores = Scores(inputs, region, own, drawn, dlse)
        work = Tiles(scores, kinds, level, stores=case.dtype != "float32")
        _region(work, place, room, store)
    return replace(store.reference(level), drawn=drawn is not None)


def at_home(inputs: Inputs, rows: Tensor | None = None, drawn: Tensor | None = None) -> Reference:
    """`compute`, on the device where results of such a case are held against it."""
    device = home(inputs.case)
    there = None if drawn is None else drawn.to(device)
    return compute(inputs.to(device), rows, drawn=there)


def _region(work: Tiles, place: slice, room: int, store: Store) -> None:
    """Forward and backward of one region."""
    scores, region, case = work.scores, work.scores.region, work.scores.case
    queries, keys = tiles(region.size * case.Hq, len(scores.rows), region.Mkv, room)
    bounds = [(int(scores.rows[i.start]), int(scores.rows[i.stop - 1])) for i in queries]

    def masked(i: int, j: slice) -> bool:
        return wholly_masked(case.mask, *bounds[i], j, region.Mq, region.Mkv)

    done: list[Rows] = []
    for n, i in enumerate(queries):
        mine = [j for j in keys if not masked(n, j)]
        found: Forward = forward(work, i, mine, store.form)
        store.forward(region, slice(place.start + i.start, place.start + i.stop), found)
        if case.wants_backward:
            done.append(rows_of(work, i, mine, found, store.form))
    if not case.wants_backward:
        store.attend(work, queries, keys, masked)
        return
    rows = Rows.join(done)
    dq = [Sums() for _ in queries]
    for j in keys:
        dk, dv = Sums(), Sums()
        for n, i in enumerate(queries):
            if masked(n, j):
                continue
            own = rows.at(i)
            t = backward.cotangent(work, i, j, own, store.form)
            store.attended(region, j, t.w.logits.keep)
            if "q" in case.grads:
                backward.to_queries(work, t, dq[n])
            if "k" in case.grads:
                backward.to_keys(work, i, t, own, dk)
            if "v" in case.grads:
                backward.to_values(work, i, t, own, dv, store.form)
            if case.wants_bias_grad:
                bias.to_bias(work, i, j, t, own, store.dbias)
        if dk:
            store.keys("dk", region, j, backward.finish_keys(work, dk, scores.scale))
        if dv:
            store.keys("dv", region, j, backward.finish_keys(work, dv, 1.0))
    for n, i in enumerate(queries):
        if dq[n]:
            there = slice(place.start + i.start, place.start + i.stop)
            store.queries("dq", region, there, backward.finish_queries(work, dq[n], rows.at(i)))


def _held(case: Case, rows: Tensor) -> Tensor:
    """Positions in the canonical query dimension of the given rows of every sequence."""
    if case.storage == "padded":
        return rows[rows < case.Mq]
    return torch.cat([rows[rows < s.Mq] + s.q_start for s in case.sequences])
