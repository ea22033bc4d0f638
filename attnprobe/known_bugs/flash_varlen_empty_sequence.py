"""FlashAttention 2 cannot take grouped heads, one query per sequence and an empty sequence together.

With max_seqlen_q = 1 the grouped heads are folded into the queries by a reshape that counts on one
query of every sequence; where one has none the shape does not fit.
Source: https://github.com/Dao-AILab/flash-attention/issues/1537,
https://github.com/Dao-AILab/flash-attention/issues/1619 and the fix proposed in
https://github.com/Dao-AILab/flash-attention/pull/2875.
"""

from __future__ import annotations

from attnprobe.core.case import Case, Lengths
from attnprobe.known_bugs._bug import KnownBug, ask
from attnprobe.known_bugs._ranges import Versions
from attnprobe.known_bugs._readings import breaks

CASE = Case(
    B=4,
    Hq=9,
    Hkv=3,
    Mq=1,
    Mkv=5,
    K=64,
    Kv=64,
    device="cuda",
    passes="fwd",
    lengths=Lengths((0, 1, 0, 1), (0, 3, 0, 5), "packed"),
)
FULL = {"lengths": Lengths((1, 1, 1, 1), (2, 3, 2, 5), "packed")}

BUG = KnownBug(
    title="FlashAttention 2, varlen: grouped heads with one query per sequence and an empty sequence",
    sources=("Dao-AILab/flash-attention#1537", "Dao-AILab/flash-attention#1619"),
    versions=(Versions("flash-attn", "2"), Versions("torch", "2.10")),
    suspects=ask(CASE, "flash-attn-2", "varlen"),
    controls=ask(CASE, "flash-attn-2", "varlen", edits=FULL),
    reading=breaks("shape|invalid for input|CUDA error"),
    way_out="leave empty sequences out, or pass max_seqlen_q=2",
)
