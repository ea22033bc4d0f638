"""What devices do at least and at most, for predictions that are ratios of two times.

CUDA: an H200's 4.8 TB/s and 989 TFLOP/s (bfloat16, dense) as kernels reach them; other GPUs of data
centres have about the same ratio of the two. CPU: one core to a few. What is predicted from them is an
interval that holds for any pair of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from attnprobe.core.case import ELEMENT_BYTES, Case
from attnprobe.diagnosis.situation import Situation


@dataclass(frozen=True)
class Rates:
    """Ranges, the least first.

    Args:
        bytes: Bytes per second, read and written together.
        flops: Floating-point operations per second of fused attention.
        call_s: Seconds of the device that a call takes however small it is.
    """

    bytes: tuple[float, float]
    flops: tuple[float, float]
    call_s: tuple[float, float]


CUDA = Rates((1e12, 4.8e12), (2e14, 8e14), (2e-6, 3e-5))
"""The least bytes are those of copies that transpose: 1.4 TB/s were seen on an H200."""
CUDA_FLOAT32 = replace(CUDA, flops=(1e13, 6.7e13))
"""Without tensor cores; 33 TFLOP/s of CUTLASS's kernel on an H200."""
CPU = Rates((3e9, 1e11), (1e10, 1.2e11), (2e-6, 2e-5))
"""The most bytes are those of a cache."""


def rates(here: Situation) -> Rates:
    """Of the device on which experiments run."""
    if not here.on_cuda:
        return CPU
    return CUDA_FLOAT32 if here.case.dtype == "float32" else CUDA


def cache_bytes(case: Case) -> int:
    """Bytes of K and V."""
    return case.B * case.Hkv * case.Mkv * (case.K + case.Kv) * ELEMENT_BYTES[case.dtype]
