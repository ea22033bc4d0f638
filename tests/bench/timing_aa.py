"""How often a backend is called different from itself, and how often a slow-down of 3% is found.

    python tests/bench/timing_aa.py [--repeats 200] [--injected 100] [--budget 0.2] [--save FILE]

Every comparison is made as the question `compare` makes it: both sides prepared anew, on the same copies
of the inputs, in the same rounds. The slow-down is real work: on CUDA a spinning kernel behind the call,
its length found by timing it, on CPU a loop that lasts 3% of the call before it. Some 90 s on a GPU.

PASS: at most 5% of the comparisons of a backend with itself are called different; and of those of a
backend with its slower self whose interval reached the target of 1%, at least 95% are called slower.
Exits with 1 otherwise. With `--save`, the medians of all rounds are written as JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from math import log
from pathlib import Path
from statistics import median, pstdev

import torch

sys.path.insert(0, str(Path(__file__).parents[2]))

from attnprobe.core import units
from attnprobe.core.case import Case
from attnprobe.core.sampling import Sampling
from attnprobe.core.timing import Ratio
from attnprobe.device import backends
from attnprobe.device.backends.base import Prepared
from attnprobe.device.inputs import Inputs, make
from attnprobe.device.lowering.base import Refusal
from attnprobe.device.measure import compare, passes
from attnprobe.device.measure.clocks import Call, clock_for
from attnprobe.device.measure.cold import Prepare, state_of_cache
from attnprobe.masks import parse

SLOWER = 0.03
TARGET = 0.01
MOST_DIFFERENT = 0.05
LEAST_FOUND = 0.95


@dataclass(frozen=True)
class Kind:
    """One backend, one pass, one shape."""

    backend: str
    name: str
    shape: tuple[int, int, int, int]
    dtype: str
    device: str

    @property
    def case(self) -> Case:
        B, H, M, K = self.shape
        return Case(
            B, H, H, M, M, K, K, self.dtype, self.device, mask=parse("none"), passes=self.name
        )


KINDS = {
    "cuda": [
        Kind("sdpa-flash", "fwd", (2, 8, 2048, 64), "bfloat16", "cuda"),
        Kind("sdpa-flash", "bwd", (2, 8, 2048, 64), "bfloat16", "cuda"),
        Kind("sdpa-mem-efficient", "fwd", (1, 8, 1024, 64), "bfloat16", "cuda"),
        Kind("sdpa-math", "fwd", (2, 8, 2048, 64), "bfloat16", "cuda"),
    ],
    "cpu": [
        Kind("sdpa-flash", "fwd", (1, 2, 128, 32), "float32", "cpu"),
        Kind("sdpa-math", "bwd", (1, 2, 96, 32), "float32", "cpu"),
    ],
}
LONG = {  # 3% of it must be longer than a launch
    "cuda": Kind("sdpa-flash", "fwd", (2, 16, 4096, 64), "bfloat16", "cuda"),
    "cpu": Kind("sdpa-flash", "fwd", (1, 4, 192, 32), "float32", "cpu"),
}


@dataclass(frozen=True)
class Compared:
    """One comparison, and the rounds it was made from."""

    ratio: Ratio
    of: list[float]
    to: list[float]

    @property
    def half_width(self) -> float:
        return log(self.ratio.high / self.ratio.low) / 2


def calls(
    kind: Kind, inputs: Inputs, prepares: tuple[Prepare[Inputs], Prepare[Inputs]]
) -> list[Call]:
    """Both sides' calls, each prepared anew."""
    prepared = [prepare(inputs) for prepare in prepares]
    if isinstance(prepared[0], Refusal):
        sys.exit(f"{kind.backend} refuses {kind.case.label}: {'; '.join(prepared[0].reasons)}")
    cold = state_of_cache(prepared, inputs, prepares, Sampling())
    return [each[kind.name] for each in passes.calls(cold, inputs)]


def compared(
    kind: Kind,
    times: int,
    budget_s: float,
    change: Callable[[Prepare[Inputs]], Prepare[Inputs]] = lambda prepare: prepare,
) -> Iterator[Compared]:
    """The kind against itself, one side changed."""
    inputs, prepare = make(kind.case), backends.load(kind.backend).prepare
    clock = clock_for(inputs.device)
    for seed in range(times):
        of, to = calls(kind, inputs, (change(prepare), prepare))
        found = compare({"of": of, "to": to}, "to", clock, budget_s, TARGET, seed)
        if "of" in found.ratios:
            series = found.series
            yield Compared(found.ratios["of"], series["of"].medians, series["to"].medians)


def row(what: str, kind: Kind, found: list[Compared], seconds: float) -> str:
    """What many comparisons of one kind amount to."""
    ratios = [one.ratio for one in found]
    middle = [one.median for one in ratios]
    excluded = sum(not one.low <= 1.0 <= one.high for one in ratios)
    return (
        f"{what:9s} {kind.backend:20s} {kind.name:4s} {units.seconds(median(found[0].to)):>9s} "
        f"n {len(found):3d}  excludes 1: {excluded / len(found):6.1%}  different: "
        f"{sum(one.verdict != 'indistinguishable' for one in ratios) / len(found):6.1%}  "
        f"ratio {median(middle):.4f} +- {pstdev(middle):.4f}  half width "
        f"{median(one.half_width for one in found):.2%}  rounds "
        f"{median(one.rounds for one in ratios):.0f}  {seconds:.0f} s"
    )


def slowed_on_cpu(prepare: Prepare[Inputs]) -> Prepare[Inputs]:
    """Every launch goes on for 3% of what it took."""

    def prepared(inputs: Inputs) -> Prepared | Refusal:
        one = prepare(inputs)
        if isinstance(one, Refusal):
            return one

        def launch() -> torch.Tensor:
            start = time.perf_counter()
            out = one.launch()
            now = time.perf_counter()
            until = now + SLOWER * (now - start)
            while time.perf_counter() < until:
                pass
            return out

        return replace(one, launch=launch)

    return prepared


def slowed_on_cuda(cycles: int) -> Callable[[Prepare[Inputs]], Prepare[Inputs]]:
    """Every launch is followed by a kernel that spins for so many cycles."""

    def change(prepare: Prepare[Inputs]) -> Prepare[Inputs]:
        def prepared(inputs: Inputs) -> Prepared | Refusal:
            one = prepare(inputs)
            if isinstance(one, Refusal):
                return one

            def launch() -> torch.Tensor:
                out = one.launch()
                torch.cuda._sleep(cycles)
                return out

            return replace(one, launch=launch)

        return prepared

    return change


def cycles_of(kind: Kind) -> int:
    """Cycles that make the call 3% longer: the spin's fixed cost and rate are timed first."""
    inputs, prepare = make(kind.case), backends.load(kind.backend).prepare
    clock = clock_for(inputs.device)

    def took(cycles: int) -> float:
        change = slowed_on_cuda(cycles) if cycles else lambda plain: plain
        call, _ = calls(kind, inputs, (change(prepare), prepare))
        bursts = [clock.burst(call, 20) for _ in range(10)][2:]
        return median(reading.seconds for burst in bursts for reading in burst)

    plain, short, long = took(0), took(10_000), took(40_000)
    rate = (long - short) / 30_000
    fixed = short - plain - rate * 10_000
    cycles = int((SLOWER * plain - fixed) / rate)
    if cycles <= 0:
        sys.exit(f"a launch takes {fixed / plain:.1%} of {kind.case.label}: take a longer one")
    print(f"injected: {cycles} cycles, {took(cycles) / plain - 1:+.2%} when timed alone")
    return cycles


def main() -> int:
    """Prints one row a kind and the two verdicts; 1 when one of them fails."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=200, help="comparisons with itself")
    parser.add_argument("--injected", type=int, default=100, help="with its slower self")
    parser.add_argument("--budget", type=float, default=0.2, help="seconds of each")
    parser.add_argument("--device", choices=("cpu", "cuda"))
    parser.add_argument("--save", type=Path, help="file for the medians of all rounds")
    arguments = parser.parse_args()
    device = arguments.device or ("cuda" if torch.cuda.is_available() else "cpu")
    kept: dict[str, list[tuple[list[float], list[float]]]] = {}

    def gather(what: str, kind: Kind, times: int, **change: object) -> list[Compared]:
        began = time.perf_counter()
        found = list(compared(kind, times, arguments.budget, **change))
        print(row(what, kind, found, time.perf_counter() - began), flush=True)
        kept[f"{what} {kind.backend} {kind.name}"] = [(one.of, one.to) for one in found]
        return found

    each = -(-arguments.repeats // len(KINDS[device]))
    itself = [one for kind in KINDS[device] for one in gather("itself", kind, each)]
    long = LONG[device]
    change = slowed_on_cuda(cycles_of(long)) if device == "cuda" else slowed_on_cpu
    slower = gather("3% slower", long, arguments.injected, change=change)
    if arguments.save:
        arguments.save.write_text(json.dumps(kept))

    different = sum(one.ratio.verdict != "indistinguishable" for one in itself) / len(itself)
    narrow = [one for one in slower if one.half_width <= TARGET]
    found = sum(one.ratio.verdict == "slower" for one in narrow) / max(1, len(narrow))
    calm = different <= MOST_DIFFERENT
    sharp = found >= LEAST_FOUND and len(narrow) >= len(slower) / 2
    print(
        f"{'PASS' if calm else 'FAIL'}: {len(itself)} comparisons with itself, {different:.1%} called "
        f"different (at most {MOST_DIFFERENT:.0%})"
    )
    print(
        f"{'PASS' if sharp else 'FAIL'}: {len(narrow)} of {len(slower)} comparisons with the slower "
        f"self reached +-{TARGET:.0%}, {found:.1%} of these found it (at least {LEAST_FOUND:.0%})"
    )
    return int(not (calm and sharp))


if __name__ == "__main__":
    sys.exit(main())
