"""Compiled flex_attention gives garbage in dk for keys that are a slice of a larger tensor.

The backward's template writes dk with strides that are not those of the keys.
Source: https://github.com/pytorch/pytorch/issues/146377 (torch 2.6.0; fixed later).
"""

from __future__ import annotations

from attnprobe.core.case import Case
from attnprobe.known_bugs._bug import KnownBug, ask
from attnprobe.known_bugs._ranges import Versions
from attnprobe.known_bugs._readings import wrong

CASE = Case(B=2, Hq=4, Hkv=4, Mq=640, Mkv=640, K=64, Kv=64, device="cuda", layout="packed-qkv")

BUG = KnownBug(
    title="flex: wrong dk for keys that are not contiguous",
    sources=("pytorch#146377",),
    versions=(Versions("torch", "2.6", "2.7"),),
    suspects=ask(CASE, "flex"),
    controls=ask(CASE, "flex", edits={"layout": "BHMK"}),
    reading=wrong("accuracy", "nonfinite"),
    way_out="call .contiguous() on keys and values",
)
