"""FlashAttention 2's split over keys read out of bounds for one query and few keys.

Source: https://github.com/Dao-AILab/flash-attention/issues/1076 and
https://github.com/pytorch/pytorch/issues/131257 (one query, 257 keys, head dim 32; July 2024).
"""

from __future__ import annotations

from attnprobe.core.case import Case
from attnprobe.known_bugs._bug import KnownBug, ask
from attnprobe.known_bugs._ranges import Versions
from attnprobe.known_bugs._readings import breaks

CASE = Case(B=1, Hq=1, Hkv=1, Mq=1, Mkv=257, K=32, Kv=32, device="cuda", passes="fwd")

BUG = KnownBug(
    title="FlashAttention 2: illegal memory access of the split over keys",
    sources=("Dao-AILab/flash-attention#1076", "pytorch#131257"),
    versions=(Versions("torch", "2.3", "2.5"), Versions("flash-attn", "2.5", "2.6.2")),
    suspects=ask(CASE, "sdpa-flash", "flash-attn-2"),
    controls=ask(CASE, "sdpa-flash", "flash-attn-2", edits={"Mq": 130}),
    reading=breaks("illegal memory access|CUDA error"),
    way_out="a newer release",
)
