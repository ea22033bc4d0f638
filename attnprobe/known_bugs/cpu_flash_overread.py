"""SDPA's CPU flash kernel takes the number of keys from the values and reads past the end of the keys.

Keys shorter than values are an error of the caller that every other path reports; this one answers
with what lies behind the keys in memory, or dies with SIGBUS. The trial's keys are a view of longer
ones, so that nothing foreign is read.
Source: https://github.com/pytorch/pytorch/pull/193728 (open in August 2026); ran on torch 2.13.0.
"""

from __future__ import annotations

from attnprobe.core.case import Case
from attnprobe.known_bugs._bug import KnownBug, ask
from attnprobe.known_bugs._ranges import Versions
from attnprobe.known_bugs._readings import accepted

CASE = Case(
    B=1, Hq=2, Hkv=2, Mq=33, Mkv=33, K=16, Kv=16, dtype="float32", device="cpu", passes="fwd"
)

BUG = KnownBug(
    title="CPU flash kernel: fewer keys than values are not refused, and memory behind them is read",
    sources=("pytorch#193728",),
    versions=(Versions("torch"),),
    suspects=ask(CASE, "attnprobe.device.known_calls:keys_one_short"),
    reading=accepted,
    way_out="assert key.size(-2) == value.size(-2) before the call",
)
