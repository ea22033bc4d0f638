"""How many thread blocks an attention kernel has: B * Hq * ceil(Mq / tile), on so many SMs.

Tiles of queries: 64 in the memory-efficient kernel, 128 in the others. Sources:
torch@2.13.0:aten/src/ATen/native/transformers/cuda/mem_eff_attention/kernel_forward.h (`getBlocksGrid`,
`kQueriesPerBlock`); Dao, arXiv:2307.08691, section 3.3 (blocks of 64 or 128 queries).
"""

from __future__ import annotations

from attnprobe.diagnosis.situation import Situation

DECODING = 16
"""Queries up to which a call is a step of decoding: one tile, however it is cut."""

_UNFUSED = ("eager", "sdpa-math", "flex-eager", "lucidrains", "mha")


def is_fused(here: Situation) -> bool:
    """Whether the backend launches a grid of query tiles; matmul kernels have grids of theirs."""
    return here.backend not in _UNFUSED


def tile(here: Situation) -> int:
    """Queries of one thread block."""
    small = here.calls("sdpa-mem-efficient", "xformers-cutlass")
    return 64 if small or here.case.dtype == "float32" else 128


def blocks(here: Situation) -> int:
    """Thread blocks of the forward."""
    return here.case.Hq * sum(-(-sequence.Mq // tile(here)) for sequence in here.case.sequences)
