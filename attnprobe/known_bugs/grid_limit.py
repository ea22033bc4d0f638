"""Kernels whose grid has one block per sequence cannot be launched for more than 65,535 sequences.

The y and z dimensions of a CUDA grid end at 65,535 (CUDA C++ Programming Guide, technical
specifications); windowed and axial attention folds windows into the batch and gets there.
Source: https://github.com/pytorch/pytorch/issues/142228, https://github.com/pytorch/pytorch/issues/146704
and https://github.com/facebookresearch/xformers/issues/845.
"""

from __future__ import annotations

from attnprobe.core.case import Case
from attnprobe.known_bugs._bug import KnownBug, ask
from attnprobe.known_bugs._ranges import Versions
from attnprobe.known_bugs._readings import breaks

CASE = Case(
    B=65536, Hq=8, Hkv=8, Mq=4, Mkv=4, K=64, Kv=64, dtype="float16", device="cuda", passes="fwd"
)
BACKENDS = ("sdpa-flash", "sdpa-mem-efficient", "xformers-cutlass")

BUG = KnownBug(
    title="more than 65,535 sequences: invalid configuration argument",
    sources=("pytorch#142228", "pytorch#146704", "facebookresearch/xformers#845"),
    versions=(Versions("torch"), Versions("xformers", "0.0.21")),
    suspects=ask(CASE, *BACKENDS),
    controls=ask(CASE, *BACKENDS, edits={"B": 65535}),
    reading=breaks("invalid configuration argument"),
    way_out="split the batch into parts of at most 65,535",
)
