"""The peak memory that we report beside what the allocator says of the same call written by hand.

    python tests/bench/timing_memory.py

B2 H8 M2048 K64 in bfloat16, forward and backward, over the inputs: softmax(QK^T)V holds score matrices
of 128 MiB each, some 1,050 MiB at once; flash attention outputs and gradients, some 32 MiB.

PASS: ours is within 1% of the hand-written call's, and both lie where they should. Some 10 s on a GPU.
"""

from __future__ import annotations

import gc
import sys
from pathlib import Path

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

sys.path.insert(0, str(Path(__file__).parents[2]))

from attnprobe.core.case import Case
from attnprobe.device import backends
from attnprobe.device.backends.base import Prepared
from attnprobe.device.inputs import make
from attnprobe.device.measure import memory, passes

MIB = 2**20
SHAPE = (2, 8, 2048, 64)
EXPECTED = {  # backend: torch's name of it, and MiB between which its peak lies
    "sdpa-math": (SDPBackend.MATH, 1000, 1100),
    "sdpa-flash": (SDPBackend.FLASH_ATTENTION, 24, 40),
    "sdpa-mem-efficient": (SDPBackend.EFFICIENT_ATTENTION, 24, 40),
}
LIMIT = 0.01


def by_hand(chosen: SDPBackend) -> int:
    """Bytes at the peak of the plainest code, over what was there before."""
    q, k, v, dout = (torch.randn(SHAPE, device="cuda", dtype=torch.bfloat16) for _ in range(4))
    leaves = [each.requires_grad_() for each in (q, k, v)]

    def run() -> object:
        out = scaled_dot_product_attention(q, k, v)
        return out, torch.autograd.grad(out, leaves, dout)

    with sdpa_kernel(chosen):
        out = scaled_dot_product_attention(q, k, v)
        dout = torch.empty_like(out).copy_(dout)  # in memory as the output is: no kernel copies it
        del out
        run()
        gc.collect()
        torch.cuda.synchronize()
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        kept = run()
        torch.cuda.synchronize()
        found = torch.cuda.max_memory_allocated() - before
        del kept
    return found


def reported(name: str) -> int:
    """Bytes that the question `time` reports."""
    B, H, M, K = SHAPE
    case = Case(B, H, H, M, M, K, K, "bfloat16", "cuda", passes="fwd+bwd")
    inputs = make(case)
    prepared = backends.load(name).prepare(inputs)
    if not isinstance(prepared, Prepared):
        sys.exit(f"{name} refuses: {'; '.join(prepared.reasons)}")
    with prepared.around():
        run = passes.once(prepared, inputs)
        found = memory.peak(run, inputs.device, inputs.demand.floor_bytes)
    if found.bytes is None:
        sys.exit(f"{name}: {found.how}")
    return found.bytes


def main() -> int:
    """One line per backend; 1 when one is off, 3 without a GPU."""
    if not torch.cuda.is_available():
        print("needs a CUDA device", file=sys.stderr)
        return 3
    failed = 0
    for name, (chosen, low, high) in EXPECTED.items():
        ours, theirs = reported(name), by_hand(chosen)
        right = abs(ours / theirs - 1) <= LIMIT and low * MIB <= ours <= high * MIB
        failed += not right
        print(
            f"{'PASS' if right else 'FAIL'}: {name:20s} {ours / MIB:8.1f} MiB, by hand "
            f"{theirs / MIB:8.1f} MiB (expected {low} to {high})"
        )
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
