"""nn.MultiheadAttention with need_weights gives NaN for queries without keys, gradients included.

That path has a softmax of its own; 0 times NaN is NaN, so one such row spoils the gradient of the
shared projections for the whole batch, even where the loss leaves the row out.
Source: https://github.com/pytorch/pytorch/issues/41508 (open since 2020),
https://github.com/pytorch/pytorch/issues/160064 and https://github.com/pytorch/pytorch/issues/152028.
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
    Mq=33,
    Mkv=33,
    K=16,
    Kv=16,
    dtype="float32",
    device="cpu",
    lengths=Lengths((33, 33), (33, 0)),
)

BUG = KnownBug(
    title="nn.MultiheadAttention, need_weights=True: NaN for queries that may attend no key",
    sources=("pytorch#41508", "pytorch#160064", "pytorch#152028"),
    versions=(Versions("torch"),),
    suspects=ask(CASE, "mha-need-weights"),
    controls=ask(CASE, "mha-need-weights", edits={"lengths": Lengths((33, 33), (33, 1))}),
    reading=nan_without_keys,
    way_out="need_weights=False",
)
