"""Our medians beside those of triton.testing.do_bench and the kernel time that CUPTI reports.

    python tests/bench/timing_agreement.py [--budget SECONDS] [--limit 0.02]

Prints one row per kernel and pass and exits with 1 when a GPU-bound one differs from do_bench by more
than the limit. Launch-bound rows are shown and not judged: do_bench leaves the host's gaps in.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from itertools import product
from pathlib import Path
from statistics import median

import torch

sys.path.insert(0, str(Path(__file__).parents[2]))

from attnprobe.core import units
from attnprobe.core.case import Case
from attnprobe.core.sampling import Sampling
from attnprobe.core.timing import Duration
from attnprobe.device import backends
from attnprobe.device.backends.base import Prepared
from attnprobe.device.inputs import Inputs, make
from attnprobe.device.lowering.base import Refusal
from attnprobe.device.measure import measure, observe, passes
from attnprobe.device.measure.cold import flusher
from attnprobe.masks import parse

BACKENDS = ("sdpa-flash", "sdpa-mem-efficient", "sdpa-cudnn", "sdpa-math", "xformers-cutlass")
SHAPES = ((2, 16, 4096, 64), (2, 16, 4096, 128), (1, 16, 8192, 128))
MASKS = ("none", "causal")
REPEATS = 10


def run_of(prepared: Prepared, inputs: Inputs, name: str) -> Callable[[], object]:
    """One pass as a plain function, the way do_bench wants it."""
    if name == "fwd":
        return prepared.launch
    if name == "fwd+bwd":
        return passes.once(prepared, inputs)
    out = prepared.launch()
    dout = passes.cotangent(prepared, inputs, out)
    leaves = [leaf for leaf in prepared.leaves.values() if leaf.requires_grad]
    return lambda: torch.autograd.grad(out, leaves, dout, retain_graph=True)


def do_bench_s(run: Callable[[], object]) -> float:
    """Median of triton's do_bench, in seconds."""
    from triton.testing import do_bench

    return float(do_bench(run, warmup=100, rep=500, return_mode="median")) * 1e-3


def cupti_s(run: Callable[[], object]) -> float:
    """Sum of the kernels' own times per call, each call behind a flush, median over the calls."""
    flush, names = flusher(torch.device("cuda")), set(observe(run, "cuda"))
    sums = []
    for _ in range(REPEATS):
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profiler:
            flush()
            run()
            torch.cuda.synchronize()
        events = profiler.events()
        sums.append(sum(e.device_time_total for e in events if e.name in names) * 1e-6)
    return median(sums)


def row(case: Case, backend: str, name: str, ours: Duration, theirs: float, kernels: float) -> str:
    """One line of the table."""
    mark = "launch-bound" if ours.launch_bound else ""
    return (
        f"{backend:20s} {case.label:48s} {name:8s} {units.seconds(ours.median):>10s} "
        f"+-{ours.half_width:5.1%} {ours.median / theirs:8.3f} {ours.median / kernels:8.3f} {mark}"
    )


def main() -> int:
    """Prints the table; 1 when a GPU-bound row is off, 3 without a GPU."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--budget", type=float, default=1.0, help="seconds per case")
    parser.add_argument("--limit", type=float, default=0.02, help="tolerated relative difference")
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        print("needs a CUDA device", file=sys.stderr)
        return 3
    print(
        f"{'backend':20s} {'case':48s} {'pass':8s} {'ours':>10s} {'CI':>8s} {'/do_bench':>8s} /CUPTI"
    )
    off = judged = 0
    for backend, (B, H, M, K), mask in product(BACKENDS, SHAPES, MASKS):
        case = Case(B, H, H, M, M, K, K, "bfloat16", "cuda", mask=parse(mask, square=True))
        chosen, inputs = backends.load(backend), make(case)
        try:
            chosen.available()
        except Exception as error:  # noqa: BLE001 - a broken import raises anything
            print(f"{backend:20s} {case.label:48s} {type(error).__name__}: {error}")
            continue
        prepared = chosen.prepare(inputs)
        if isinstance(prepared, Refusal):
            print(f"{backend:20s} {case.label:48s} refused: {'; '.join(prepared.reasons)}")
            continue
        found = measure(prepared, inputs, Sampling(0.01, arguments.budget), prepare=chosen.prepare)
        for reason in found.withheld:
            print(f"{backend:20s} {case.label:48s} {reason}")
        for name, ours in (
            ("fwd", found.fwd_s),
            ("bwd", found.bwd_s),
            ("fwd+bwd", found.fwd_bwd_s),
        ):
            if ours is None:
                continue
            with prepared.around():
                run = run_of(prepared, inputs, name)
                theirs, kernels = do_bench_s(run), cupti_s(run)
            print(row(case, backend, name, ours, theirs, kernels), flush=True)
            judged += not ours.launch_bound
            off += not ours.launch_bound and abs(ours.median / theirs - 1) > arguments.limit
    print(f"{judged} GPU-bound rows, {off} differ from do_bench by more than {arguments.limit:.0%}")
    return int(off > 0)


if __name__ == "__main__":
    sys.exit(main())
