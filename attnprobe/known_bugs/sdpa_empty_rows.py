"""SDPA gave NaN for queries without keys until torch 2.5 made its softmax safe.

Source: https://github.com/pytorch/pytorch/issues/103749 and the fix
https://github.com/pytorch/pytorch/pull/133882.
"""

from __future__ import annotations

from attnprobe import masks
from attnprobe.core.case import Case
from attnprobe.known_bugs._bug import KnownBug, ask
from attnprobe.known_bugs._ranges import Versions
from attnprobe.known_bugs._readings import nan_without_keys

CASE = Case(
    B=1,
    Hq=2,
    Hkv=2,
    Mq=40,
    Mkv=17,
    K=16,
    Kv=16,
    dtype="float32",
    device="cpu",
    mask=masks.parse("causal(align=bottom-right)"),
    mask_form="dense-bool",
)

BUG = KnownBug(
    title="SDPA: NaN for queries that may attend no key",
    sources=("pytorch#103749", "pytorch#133882"),
    versions=(Versions("torch", fixed="2.5"),),
    suspects=ask(CASE, "sdpa-math", "sdpa-flash"),
    reading=nan_without_keys,
    way_out="torch 2.5 or newer",
)
