"""The mem-efficient kernel reads the wrong rows of a mask once Mq * Mkv exceeds 2^32.

The offset of a row of the mask is a product of 32-bit numbers and wraps, so that every query past
2^32 / Mkv is attended under another query's mask: plausible numbers, no error. It takes a mask of
11 GB in bfloat16 to see.
Source: https://github.com/pytorch/pytorch/issues/187227, https://github.com/pytorch/pytorch/pull/187225
and https://github.com/pytorch/pytorch/issues/162588 (torch 2.9 to 2.14 nightlies, sm80 and newer).
"""

from __future__ import annotations

from attnprobe import masks
from attnprobe.core.case import Case
from attnprobe.known_bugs._bug import KnownBug, ask
from attnprobe.known_bugs._ranges import Versions
from attnprobe.known_bugs._readings import wrong

CASE = Case(
    B=1,
    Hq=1,
    Hkv=1,
    Mq=66560,
    Mkv=66560,
    K=64,
    Kv=64,
    device="cuda",
    mask=masks.parse("sliding-window(left=63, right=0, align=top-left)"),
    mask_form="dense-float",
    passes="fwd",
)

BUG = KnownBug(
    title="mem-efficient: queries past 2^32 / Mkv get another row of the mask",
    sources=("pytorch#187227", "pytorch#187225", "pytorch#162588"),
    versions=(Versions("torch"),),
    suspects=ask(CASE, "sdpa-mem-efficient"),
    controls=ask(CASE, "sdpa-mem-efficient", edits={"Mq": 8192, "Mkv": 8192}),
    reading=wrong("accuracy", "nonfinite"),
    way_out="split the queries so that Mq * Mkv stays below 2^31, or use is_causal",
)
