"""xFormers' LowerTriangularMaskWithTensorBias has no operator that can train with it.

The cutlass operator lists the type and raises when it is run (seen with 0.0.35 on an H200); its
backward has the type commented out, flash refuses it.
Source: xformers@0.0.35:xformers/ops/fmha/cutlass.py (`SUPPORTED_ATTN_BIAS_TYPES` of both operators);
asked for in https://github.com/facebookresearch/xformers/issues/783.
"""

from __future__ import annotations

from attnprobe import masks
from attnprobe.core.case import Case
from attnprobe.known_bugs._bug import KnownBug, ask
from attnprobe.known_bugs._ranges import Versions
from attnprobe.known_bugs._readings import breaks

CASE = Case(
    B=1,
    Hq=2,
    Hkv=2,
    Mq=64,
    Mkv=64,
    K=32,
    Kv=32,
    device="cuda",
    mask=masks.parse("causal(align=top-left)"),
)

BUG = KnownBug(
    title="xFormers: LowerTriangularMaskWithTensorBias cannot be trained with",
    sources=("facebookresearch/xformers#783",),
    versions=(Versions("xformers", "0.0.20"),),
    suspects=ask(CASE, "attnprobe.device.known_calls:xformers_triangular_bias"),
    reading=breaks("Unsupported attn_bias|No operator found|attn_bias type"),
    way_out="a full tensor bias with -inf above the diagonal",
)
