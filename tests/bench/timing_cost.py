"""What our sampling costs beside xFormers' own benchmark loop, on its own LLM shapes.

    python tests/bench/timing_cost.py [--every 2] [--device cpu]

Theirs (xformers@0.0.35:xformers/benchmarks/benchmark_mem_eff_attention.py and utils.py): for every
shape one `torch.utils.benchmark.Timer` for the forward and one for `out.backward(grad,
retain_graph=True)`, each `blocked_autorange(min_run_time=0.5)`, float16, no dropout, no bias.
Decoding (benchmark_attn_decoding.py): 16 query heads, one or two of keys, 2^16 keys in all, forward.
Both loops get the same calls of the same backend, and warm-up is part of both; of ours the copies of
the inputs too.

The interval of theirs is that of the median of its blocks, by Student's t where they are too few for
ours (6). Ours samples forward, backward and both of them until it is as narrow, but no narrower than
0.5%, below which differences count as none (core/timing.py: SAME).

PASS: ours took at most half the time over all shapes, and its intervals were as narrow. All 30 and 20
shapes take some two minutes on an H200, with `--every 2` every second one half of that; on CPU, two
tiny ones for a test.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from statistics import fmean, median, stdev

import torch
from torch.utils.benchmark import Timer

sys.path.insert(0, str(Path(__file__).parents[2]))

from attnprobe.core import units
from attnprobe.core.case import Case
from attnprobe.core.sampling import Sampling
from attnprobe.core.statistics import median_interval
from attnprobe.core.timing import SAME
from attnprobe.device import backends
from attnprobe.device.backends.base import Prepared
from attnprobe.device.inputs import Inputs, make
from attnprobe.device.measure import passes
from attnprobe.device.measure.clocks import clock_for
from attnprobe.device.measure.cold import Prepare, state_of_cache
from attnprobe.device.measure.sampling import collect
from attnprobe.masks import parse

MIN_RUN_TIME = 0.5
MOST = 0.5
STUDENT = (12.7, 4.30, 3.18, 2.78)  # 97.5% quantiles for 1 to 4 degrees of freedom
TRAINING = [
    *sorted(product([1, 2], [2048, 4096, 8192], [4, 8], [128])),
    *sorted(product([16], [128, 512, 1024], [16], [16, 32, 64, 128, 160, 256])),
]
DECODING = [(max(1, 2 ** (16 - i)), 2**i, heads) for i in range(8, 18) for heads in (1, 2)]


def training(shape: tuple[int, int, int, int], device: str, dtype: str) -> Case:
    """A shape (B, M, H, K) as they have it, forward and backward."""
    B, M, H, K = shape
    return Case(B, H, H, M, M, K, K, dtype, device, passes="fwd+bwd")


def decoding(shape: tuple[int, int, int], device: str, dtype: str) -> Case:
    """One query per sequence; (B, Mkv, Hkv) with 16 heads of K 128."""
    B, Mkv, Hkv = shape
    mask = parse("causal(align=bottom-right)")
    return Case(B, 16, Hkv, 1, Mkv, 128, 128, dtype, device, mask=mask, passes="fwd")


@dataclass(frozen=True)
class Cost:
    """What one loop took for one case.

    Args:
        seconds: Wall time of all passes.
        widths: Relative half width of each pass's interval.
    """

    seconds: float
    widths: dict[str, float]


def half_width(values: list[float]) -> float:
    """Relative half width of the 95% interval; inf for a single value."""
    interval = median_interval(values)
    if interval is not None:
        return (interval[1] - interval[0]) / 2 / median(values)
    if len(values) < 2:
        return float("inf")
    return STUDENT[len(values) - 2] * stdev(values) / len(values) ** 0.5 / fmean(values)


def theirs(prepared: Prepared, inputs: Inputs) -> Cost:
    """Their loop: a Timer per direction."""
    stmts: dict[str, Callable[[], object]] = {"fwd": prepared.launch}
    if inputs.case.wants_backward:
        out = prepared.launch()
        dout = passes.cotangent(prepared, inputs, out)
        stmts["bwd"] = lambda: out.backward(dout, retain_graph=True)
    began, widths = time.perf_counter(), {}
    for name, run in stmts.items():
        timer = Timer("run()", globals={"run": run}, num_threads=torch.get_num_threads())
        widths[name] = half_width(timer.blocked_autorange(min_run_time=MIN_RUN_TIME).times)
    return Cost(time.perf_counter() - began, widths)


def ours(prepared: Prepared, inputs: Inputs, prepare: Prepare[Inputs], target: float) -> Cost:
    """What the question `time` does when it samples."""
    began, sampling = time.perf_counter(), Sampling(target_ci=target)
    (cold,) = state_of_cache((prepared,), inputs, (prepare,), sampling)
    (calls,) = passes.calls((cold,), inputs)
    clock = clock_for(inputs.device)
    taken = collect(
        calls,
        clock,
        sampling.budget_s,
        sampling.target_ci,
        lambda series: max(one.half_width for one in series.values()),
    )
    widths = {name: one.half_width for name, one in taken.items()}
    return Cost(time.perf_counter() - began, widths)


def main() -> int:
    """Prints one row a case; 1 when ours took more than half, or stayed wider."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--every", type=int, default=1, help="take every n-th shape")
    parser.add_argument("--device", choices=("cpu", "cuda"))
    parser.add_argument("--backend", default="sdpa-default")
    arguments = parser.parse_args()
    device = arguments.device or ("cuda" if torch.cuda.is_available() else "cpu")
    if device == "cuda":
        cases = [training(shape, device, "float16") for shape in TRAINING[:: arguments.every]]
        cases += [decoding(shape, device, "float16") for shape in DECODING[:: arguments.every]]
    else:
        cases = [
            training((1, 64, 2, 32), device, "float32"),
            decoding((2, 256, 1), device, "float32"),
        ]
    backend = backends.load(arguments.backend)
    spent, wider = {"theirs": 0.0, "ours": 0.0}, 0
    print(f"{'case':44s} {'theirs':>8s} {'widths':>14s} {'ours':>8s} {'widths':>21s}")
    for case in cases:
        inputs = make(case)
        prepared = backend.prepare(inputs)
        if not isinstance(prepared, Prepared):
            print(f"{case.label:44s} refused: {'; '.join(prepared.reasons)}")
            continue
        with prepared.around():
            them = theirs(prepared, inputs)
            us = ours(prepared, inputs, backend.prepare, max(SAME, min(them.widths.values())))
        spent["theirs"] += them.seconds
        spent["ours"] += us.seconds
        late = [name for name, width in them.widths.items() if us.widths[name] > max(SAME, width)]
        wider += bool(late)
        shown = [" ".join(f"{width:6.2%}" for width in one.widths.values()) for one in (them, us)]
        print(
            f"{case.label:44s} {units.seconds(them.seconds):>8s} {shown[0]:>14s} "
            f"{units.seconds(us.seconds):>8s} {shown[1]:>21s} "
            f"{'wider: ' if late else ''}{' '.join(late)}",
            flush=True,
        )
        del inputs, prepared
    share = spent["ours"] / spent["theirs"]
    cheap, narrow = share <= MOST, wider == 0
    print(
        f"{'PASS' if cheap else 'FAIL'}: {spent['ours']:.1f} s beside {spent['theirs']:.1f} s for the "
        f"same cases, {share:.0%} (at most {MOST:.0%})"
    )
    print(
        f"{'PASS' if narrow else 'FAIL'}: intervals of {wider} of {len(cases)} cases are wider than "
        f"theirs and than {SAME:.1%}"
    )
    return int(not (cheap and narrow))


if __name__ == "__main__":
    sys.exit(main())
