"""The dims of a captured call, whatever the order that its API has them in."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from attnprobe.core.capture import Call, TensorFacts
from attnprobe.core.case import ELEMENT_BYTES, Lengths


@dataclass(frozen=True)
class Dims:
    """Sizes of a call.

    Args:
        B: Batch elements; sequences of a packed call.
        Hq: Query heads.
        Hkv: Key heads.
        Mq: Queries; the longest sequence's where lengths differ.
        Mkv: Keys, likewise.
        K: Head dim of q and k.
        Kv: Head dim of v.
        lengths: What the call itself says of its sequences (packed, nested); None otherwise.
    """

    B: int
    Hq: int
    Hkv: int
    Mq: int
    Mkv: int
    K: int
    Kv: int
    lengths: Lengths | None = None

    def sizes(self, lengths: Lengths | None) -> dict[str, Any]:
        """The fields of a Case; documents that a mask tells are its sequences."""
        found = {n: getattr(self, n) for n in ("B", "Hq", "Hkv", "Mq", "Mkv", "K", "Kv")}
        if lengths is not None and lengths.storage == "packed":
            found |= {"B": len(lengths.q), "Mq": max(lengths.q), "Mkv": max(lengths.kv)}
        return found


def dims(call: Call) -> tuple[Dims | None, tuple[str, ...]]:
    """The sizes, and what they leave out; or None, and why there are none."""
    for name, tensor in (("q", call.q), ("k", call.k), ("v", call.v)):
        if tensor.dtype not in ELEMENT_BYTES:
            return None, (f"{name} is {tensor.dtype}, which no case has",)
    try:
        q, k, v = (_four(call, tensor, n) for n, tensor in enumerate((call.q, call.k, call.v)))
    except ValueError as error:
        return None, (str(error),)
    unsaid = []
    if len({call.q.dtype, call.k.dtype, call.v.dtype}) > 1:
        unsaid.append("q, k and v differ in dtype; that of q is replayed")
    if q[0] != k[0] or k[:3] != v[:3]:
        unsaid.append("q, k and v broadcast; they are replayed in full")
    B, Hkv, Mkv = max(q[0], k[0]), max(k[1], v[1]), max(k[2], v[2])
    found = Dims(B, q[1], Hkv, q[2], Mkv, q[3], v[3])
    packed = call.layout == "MHK" or "nested" in (call.q.kind, call.k.kind)
    if not packed:
        return found, tuple(unsaid)
    return _packed(call, found, unsaid)


def _heads_of_mask(call: Call) -> int:
    """Heads that are part of the batch, where a mask of four dims tells them apart; else 1."""
    shape = call.mask.shape if call.mask else ()
    alike = len(shape) == 4 and shape[0] * shape[1] == call.q.shape[0] == call.k.shape[0]
    return shape[1] if alike else 1


def _packed(call: Call, whole: Dims, unsaid: list[str]) -> tuple[Dims | None, tuple[str, ...]]:
    """Sequences one behind the other, by the lengths that were seen."""
    q, kv = call.lengths_q, call.lengths_kv or call.lengths_q
    if not q:
        return None, (*unsaid, "the lengths of its sequences were not seen")
    if len(q) != len(kv):
        return None, (*unsaid, f"{len(q)} sequences of queries and {len(kv)} of keys")
    tail = 0
    if call.layout == "MHK":
        tail = whole.Mq - sum(q)
        if tail != whole.Mkv - sum(kv) or tail < 0:
            unsaid.append("queries and keys that belong to no sequence are left out")
            tail = 0
        elif tail and len(q) == _KEPT:
            unsaid.append(f"of its sequences the first {_KEPT} are replayed")
            tail = 0
    lengths = Lengths(q, kv, "packed", tail)
    sizes = (len(q), whole.Hq, whole.Hkv, max(q), max(kv), whole.K, whole.Kv)
    return Dims(*sizes, lengths=lengths), tuple(unsaid)


_KEPT = 512
"""Lengths that a capture keeps of a call (core/capture.py)."""


def _four(call: Call, tensor: TensorFacts, which: int) -> tuple[int, int, int, int]:
    """(B, H, M, K) of q (0), k (1) or v (2).

    Raises:
        ValueError: A shape that does not have the dims of its layout.
    """
    shape = tensor.shape
    heads = call.heads[min(which, 1)]
    match call.layout, len(shape):
        case "BHMK", n if n >= 4:
            return math.prod(shape[:-3]), shape[-3], shape[-2], shape[-1]
        case "BHMK" | "BMK", 3:
            H = heads or _heads_of_mask(call)
            if shape[0] % H:
                raise ValueError(f"{shape[0]} planes are no multiple of {H} heads")
            return shape[0] // H, H, shape[1], shape[2]
        case "BHMK", 2:
            return 1, 1, shape[0], shape[1]
        case "BMHK", 4:
            return shape[0], shape[2], shape[1], shape[3]
        case "BMHK", 5:  # xFormers' groups of heads: (B, M, G, H, K)
            return shape[0], shape[2] * shape[3], shape[1], shape[4]
        case "BMHK", 3:  # a single head
            return shape[0], 1, shape[1], shape[2]
        case "MHK", 3:
            return 1, shape[1], shape[0], shape[2]
        case (("BMD" | "MBD"), 3) if heads:
            B, M = shape[:2] if call.layout == "BMD" else shape[1::-1]
            return B, heads, M, shape[2] // heads
        case (("BMD" | "MBD"), 2) if heads:  # no batch
            return 1, heads, shape[0], shape[1] // heads
    raise ValueError(f"a shape of {len(shape)} dims is no {call.layout}")
