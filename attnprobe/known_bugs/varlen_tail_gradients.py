"""varlen_attn leaves the gradients of tokens behind the last sequence unwritten.

Tokens beyond cu_seqlens[-1] belong to no sequence; their gradients keep what the allocator had there,
NaN now and then, and spoil every layer below. The forward says nothing.
Source: https://github.com/pytorch/pytorch/issues/176793, https://github.com/pytorch/pytorch/pull/188933
and https://github.com/Dao-AILab/flash-attention/pull/2324 (FlashAttention 2 and 3 alike).
"""

from __future__ import annotations

from attnprobe import masks
from attnprobe.core.case import Case, Lengths
from attnprobe.known_bugs._bug import KnownBug, ask
from attnprobe.known_bugs._ranges import Versions
from attnprobe.known_bugs._readings import wrong

CASE = Case(
    B=3,
    Hq=4,
    Hkv=4,
    Mq=512,
    Mkv=512,
    K=64,
    Kv=64,
    device="cuda",
    mask=masks.parse("causal", square=True),
    lengths=Lengths((144, 288, 512), (144, 288, 512), "packed", tail=2),
)
WITHOUT = {"lengths": Lengths((144, 288, 512), (144, 288, 512), "packed")}

BUG = KnownBug(
    title="varlen: gradients of tokens behind cu_seqlens[-1] are not written",
    sources=("pytorch#176793", "pytorch#188933", "Dao-AILab/flash-attention#2324"),
    versions=(Versions("torch", "2.10"), Versions("flash-attn")),
    suspects=ask(CASE, "varlen", "flash-attn-2"),
    controls=ask(CASE, "varlen", "flash-attn-2", edits=WITHOUT),
    reading=wrong("nonfinite", "leak", "unwritten", "accuracy"),
    way_out="cut the inputs at cu_seqlens[-1], or give the tail a sequence of its own",
)
