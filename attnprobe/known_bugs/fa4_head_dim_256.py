"""FlashAttention 4's backward for head dim 256 is reported to be wrong on real activations.

Random normal inputs pass; activations with outliers and a batch of two or more fail.
Source: https://github.com/NVIDIA/TransformerEngine/issues/3216 (B200).
"""

from __future__ import annotations

from attnprobe import masks
from attnprobe.core.case import Case
from attnprobe.known_bugs._bug import KnownBug, ask
from attnprobe.known_bugs._ranges import Hardware, Versions
from attnprobe.known_bugs._readings import wrong

CASE = Case(
    B=2,
    Hq=4,
    Hkv=4,
    Mq=1024,
    Mkv=1024,
    K=256,
    Kv=256,
    device="cuda",
    mask=masks.parse("causal(align=top-left)"),
    family="outlier-channels",
)

BUG = KnownBug(
    title="FlashAttention 4: wrong gradients for head dim 256, outliers and more than one sequence",
    sources=("NVIDIA/TransformerEngine#3216",),
    versions=(Versions("flash-attn-4"),),
    hardware=Hardware((10,)),
    suspects=ask(CASE, "flash-attn-4"),
    controls=ask(CASE, "flash-attn-4", edits={"K": 128, "Kv": 128}),
    reading=wrong("accuracy", "nonfinite"),
    way_out="another backend for head dim 256",
)
