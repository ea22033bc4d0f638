"""nn.MultiheadAttention's fast path gives NaN for queries without keys, its other path gives 0.

The native softmax divides by an empty sum where SDPA's is safe. In eval mode a sample that is all
padding, or padding beyond a band, comes back as NaN; in training mode it does not.
Source: https://github.com/pytorch/pytorch/pull/190486 (open in July 2026); ran on torch 2.13.0.
"""

from __future__ import annotations

from attnprobe.core.case import Case, Lengths
from attnprobe.known_bugs._bug import KnownBug, ask
from attnprobe.known_bugs._ranges import Versions
from attnprobe.known_bugs._readings import nan_without_keys

CASE = Case(
    B=2,
    Hq=2,
    Hkv=2,
    Mq=40,
    Mkv=40,
    K=16,
    Kv=16,
    dtype="float32",
    device="cpu",
    passes="fwd",
    lengths=Lengths((40, 40), (40, 0)),
)

BUG = KnownBug(
    title="nn.MultiheadAttention, fast path: NaN for queries that may attend no key",
    sources=("pytorch#190486",),
    versions=(Versions("torch"),),
    suspects=ask(CASE, "mha-fast-path"),
    controls=ask(CASE, "mha-fast-path", edits={"lengths": Lengths((40, 40), (40, 1))}),
    reading=nan_without_keys,
    way_out="torch.backends.mha.set_fastpath_enabled(False)",
)
