"""flex_attention on jagged nested tensors attended across sequences, until it refused them.

The packed tokens were taken as one long sequence unless a nested block mask was given.
Source: https://github.com/pytorch/pytorch/issues/177378 (torch 2.10) and
https://github.com/pytorch/pytorch/issues/183516 (support removed); torch 2.13.0 refuses.
"""

from __future__ import annotations

from attnprobe.core.case import Case
from attnprobe.known_bugs._bug import KnownBug, ask
from attnprobe.known_bugs._ranges import Versions
from attnprobe.known_bugs._readings import leaking

CASE = Case(
    B=3, Hq=2, Hkv=2, Mq=32, Mkv=32, K=16, Kv=16, dtype="float32", device="cpu", passes="fwd"
)

BUG = KnownBug(
    title="flex on jagged nested tensors: sequences see each other",
    sources=("pytorch#177378", "pytorch#183516"),
    versions=(Versions("torch", "2.6", "2.13"),),
    suspects=ask(CASE, "attnprobe.device.known_calls:flex_on_jagged"),
    reading=leaking,
    way_out="a document mask over packed dense tensors, or varlen_attn",
)
