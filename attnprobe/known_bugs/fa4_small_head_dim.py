"""FlashAttention 4 offers head dims from 8 and cannot be launched below 32 on Blackwell.

Source: https://github.com/Dao-AILab/flash-attention/issues/2591 (4.0.0b14 on a B200; closed).
"""

from __future__ import annotations

from attnprobe.core.case import Case
from attnprobe.known_bugs._bug import KnownBug, ask
from attnprobe.known_bugs._ranges import Hardware, Versions
from attnprobe.known_bugs._readings import breaks

CASE = Case(B=1, Hq=2, Hkv=2, Mq=2048, Mkv=2048, K=16, Kv=16, device="cuda", passes="fwd")

BUG = KnownBug(
    title="FlashAttention 4: a launch with head dim below 32 fails",
    sources=("Dao-AILab/flash-attention#2591",),
    versions=(Versions("flash-attn-4"),),
    hardware=Hardware((10,)),
    suspects=ask(CASE, "flash-attn-4"),
    controls=ask(CASE, "flash-attn-4", edits={"K": 64, "Kv": 64}),
    reading=breaks("CUDA Error|cudaErrorInvalidValue"),
    way_out="pad the head dim to 32 and give the scale",
)
