"""SDPA's CPU flash kernel gave other gradients than the math kernel.

Source: https://github.com/pytorch/pytorch/issues/133671 (August 2024; 49 queries, head dim 32, closed).
"""

from __future__ import annotations

from attnprobe.core.case import Case
from attnprobe.known_bugs._bug import KnownBug, ask
from attnprobe.known_bugs._ranges import Versions
from attnprobe.known_bugs._readings import wrong

CASE = Case(
    B=2, Hq=2, Hkv=2, Mq=49, Mkv=49, K=32, Kv=32, dtype="float32", device="cpu", family="uniform"
)

BUG = KnownBug(
    title="CPU flash kernel: gradients differ from the math kernel's",
    sources=("pytorch#133671",),
    versions=(Versions("torch", "2.3", "2.5"),),
    suspects=ask(CASE, "sdpa-flash"),
    controls=ask(CASE, "sdpa-math"),
    reading=wrong("accuracy", "nonfinite"),
    way_out="sdpa_kernel(SDPBackend.MATH)",
)
