"""Compiled flex_attention gives NaN gradients for a score_mod with a block mask at odd lengths.

Seen where the length is no multiple of 128 and both a score_mod and a block mask are given; each alone
is right.
Source: https://github.com/pytorch/pytorch/issues/153799 (torch 2.7.0).
"""

from __future__ import annotations

from attnprobe import masks
from attnprobe.core.case import Case
from attnprobe.core.score import Score
from attnprobe.known_bugs._bug import KnownBug, ask
from attnprobe.known_bugs._ranges import Versions
from attnprobe.known_bugs._readings import wrong

CASE = Case(
    B=1,
    Hq=2,
    Hkv=2,
    Mq=1025,
    Mkv=1025,
    K=64,
    Kv=64,
    device="cuda",
    mask=masks.parse("causal(align=top-left)"),
    score=Score(alibi=True),
)

BUG = KnownBug(
    title="flex: NaN gradients with score_mod and block mask where the length is no multiple of 128",
    sources=("pytorch#153799",),
    versions=(Versions("torch", "2.7", "2.8"),),
    suspects=ask(CASE, "flex"),
    controls=ask(CASE, "flex", edits={"Mq": 1024, "Mkv": 1024}),
    reading=wrong("nonfinite"),
    way_out="pad the length to a multiple of 128",
)
