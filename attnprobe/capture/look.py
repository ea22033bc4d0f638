"""A closer look at a few of the calls that are alike: mask, logits, lengths, memory."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import torch

from attnprobe import masks
from attnprobe.capture.facts import dtype_name, jagged_ends
from attnprobe.capture.later import Later, may_compute, quietly
from attnprobe.capture.recognise import recognise
from attnprobe.capture.seen import Looked, Seen
from attnprobe.core.capture import CapturedMask

if TYPE_CHECKING:
    from attnprobe.capture.recorder import Recorder
    from attnprobe.capture.tally import Tally

SHARE = 0.01
"""Of the run's time that looking may take, beyond the first looks at each tally."""

NOTICED = "looking would have been noticed: a graph was recorded, or a mode was active"

_ROWS, _COLUMNS, _HEADS = 32, 512, 8
"""Queries, keys and heads whose logits are looked at: 128k numbers."""

_FEW = 4
"""Looks at what hardly changes from call to call."""

_TO_BHMK = {"BHMK": (0, 1, 2, 3), "BMHK": (0, 2, 1, 3), "MHK": (1, 0, 2), "BMK": (0, 1, 2)}


def due(number: int, recorder: Recorder) -> bool:
    """The first two calls; while there is time, those whose number is a power of two, and the next.

    Layers often take turns (a window, no window): powers of two alone would see one kind of them.
    """
    if number <= 2:
        return True
    spent = recorder.looked_s / max(1e-9, time.perf_counter() - recorder.started)
    return (number & (number - 1) == 0 or (number - 1) & (number - 2) == 0) and spent < SHARE


def look(tally: Tally, seen: Seen, recorder: Recorder) -> None:
    """Starts whatever can be found out about this call; results come later."""
    began = time.perf_counter()
    for what in (_lengths, _mask, _logits):
        try:
            what(tally, seen)
        except Exception as error:  # noqa: BLE001 - the script goes on; what is missing is said
            recorder.gap(f"{what.__name__[1:]} of {tally.api} at {tally.where}", error)
    tally.looks += 1
    recorder.looked_s += time.perf_counter() - began


def _mask(tally: Tally, seen: Seen) -> None:
    if (found := mask_of(seen)) is not None:
        tally.masks.append(found)


def mask_of(seen: Seen) -> Looked:
    """What the mask of this call is; None when there is none."""
    if seen.look is not None:
        return seen.look(seen)
    if seen.mask is None:
        return said_by_flag(seen.flag) if seen.flag else None
    return recognised(seen.mask, seen.Mq, seen.Mkv)


def said_by_flag(spelling: str, form: str = "flag") -> CapturedMask:
    """A mask that flags or a class's name ask for."""
    return CapturedMask(
        "causal" if spelling.startswith("causal") else "window", form, masks.parse(spelling)
    )


def recognised(mask: Any, Mq: int, Mkv: int) -> Looked:
    """A mask tensor, looked at on its device."""
    if not isinstance(mask, torch.Tensor):
        return CapturedMask("unknown", type(mask).__name__, note="no tensor")
    form = dtype_name(mask.dtype)
    shape = tuple(mask.shape)
    if not may_compute(mask):
        return CapturedMask("unknown", form, None, shape, note=NOTICED)
    with quietly(mask.device.type):
        return recognise(mask, Mq, Mkv)


def _lengths(tally: Tally, seen: Seen) -> None:
    """Sequences of packed and nested calls."""
    if tally.looks >= _FEW:
        return
    for name, tensor, cumulated in (("q", seen.q, seen.cu_q), ("kv", seen.k, seen.cu_kv)):
        if isinstance(cumulated, (list, tuple)):  # known to the host already
            tally.lengths[name] = Later(torch.tensor(cumulated).diff())
            continue
        ends = cumulated if isinstance(cumulated, torch.Tensor) else jagged_ends(tensor)
        if ends is not None and may_compute(ends):
            with quietly(ends.device.type):
                tally.lengths[name] = Later(ends.diff())


def _logits(tally: Tally, seen: Seen) -> None:
    """Least and largest of some unscaled logits: evenly spaced queries and keys of one batch element."""
    order = _TO_BHMK.get(seen.layout)
    if (
        order is None
        or tally.looks >= _FEW
        or 0 in (*tally.tensors[0].shape, *tally.tensors[1].shape)
    ):
        return
    if not all(may_compute(t) and t.is_floating_point() for t in (seen.q, seen.k)):
        return
    with quietly(seen.q.device.type):
        q, k = (t.detach().permute(order) for t in (seen.q, seen.k))
        while q.dim() > 3:
            q, k = q[0], k[0]
        group = q.size(0) // max(1, k.size(0))  # query heads per key head
        q, k = _spread(q[::group][:_HEADS], _ROWS), _spread(k[:_HEADS], _COLUMNS)
        scores = q.float() @ k.float().transpose(-1, -2)
        tally.logits.append(Later(torch.stack(scores.aminmax())))


def _spread(tensor: torch.Tensor, wanted: int) -> torch.Tensor:
    """Evenly spaced tokens of (H, M, K)."""
    return tensor[:, :: max(1, tensor.size(1) // wanted)][:, :wanted]
