"""The mem-efficient backward reads a null pointer when the mask alone wants a gradient.

The forward keeps its log-sum-exp only if q, k or v want gradients; a learned bias over frozen inputs
loses the CUDA context with an illegal memory access.
Source: https://github.com/pytorch/pytorch/issues/148476 (torch 2.6) and
https://github.com/pytorch/pytorch/pull/188302 (the cause, June 2026).
"""

from __future__ import annotations

from attnprobe.core.case import Case
from attnprobe.core.score import Bias, Score
from attnprobe.known_bugs._bug import KnownBug, ask
from attnprobe.known_bugs._ranges import Versions
from attnprobe.known_bugs._readings import breaks

CASE = Case(
    B=1,
    Hq=1,
    Hkv=1,
    Mq=64,
    Mkv=64,
    K=16,
    Kv=16,
    dtype="float32",
    device="cuda",
    grads=(),
    score=Score(bias=Bias(requires_grad=True)),
)

BUG = KnownBug(
    title="mem-efficient: illegal memory access in backward when only the mask wants a gradient",
    sources=("pytorch#148476", "pytorch#188302"),
    versions=(Versions("torch", "2.5"),),
    suspects=ask(CASE, "sdpa-mem-efficient"),
    controls=ask(CASE, "sdpa-mem-efficient", edits={"grads": ("q",)}),
    reading=breaks("illegal memory access|CUDA error"),
    way_out="let q require a gradient too",
)
