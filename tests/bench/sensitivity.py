"""What is found: planted bugs per dtype, and the smallest relative error of each quantity that fails.

    python tests/bench/sensitivity.py [--cases 12] [--contract fused]

First table: share of the cases that a bug changes in which it is found. Second table: a right output is
multiplied by 1 + e (gain), or one row of it is (row); the smallest e that is found, median over cases.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from dataclasses import replace
from pathlib import Path
from statistics import median

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[2]))

from attnprobe.device.inputs import Inputs, Outputs
from attnprobe.device.numerics.judge import judge
from attnprobe.device.reference import Reference, compute
from tests.numerics.planted import changes, subject
from tests.numerics.random_cases import draw
from tests.numerics.simulator import BUGS, Simulator

DTYPES = ("float32", "bfloat16", "float16")


def found(bug: str, dtype: str, cases: int, contract: str) -> tuple[int, int]:
    """(found, applicable) over random cases."""
    hits = n = 0
    for seed in range(70_000, 70_000 + 4 * cases):
        if n == cases:
            break
        inputs = subject(bug, seed, dtype)
        wrong = Simulator(bug)(inputs)
        if not changes(wrong, Simulator()(inputs)):
            continue
        n += 1
        hits += judge(wrong, inputs, compute(inputs), contract).verdict == "fail"
    return hits, n


def smallest(
    inputs: Inputs, right: Outputs, reference: Reference, name: str, contract: str, row: bool
) -> float:
    """The smallest relative error of one quantity that is found, by bisection on a log scale."""
    low, high = -24.0, 0.0

    def wrong(exponent: float) -> bool:
        x: Tensor = getattr(right, name).double()
        factor = torch.ones_like(x)
        part = factor[:, :, x.shape[2] // 2] if row else factor
        part += 2.0**exponent
        changed = (x * factor).to(getattr(right, name).dtype)
        outputs = replace(right, **{name: changed})
        return judge(outputs, inputs, reference, contract).verdict == "fail"

    if not wrong(high):
        return float("inf")
    while high - low > 0.25:
        middle = (low + high) / 2
        low, high = (low, middle) if wrong(middle) else (middle, high)
    return float(2.0**high)


def main() -> int:
    """Prints both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=12)
    parser.add_argument("--contract", default="fused")
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    print("| bug |", " | ".join(DTYPES), "|")
    print("|---" * (1 + len(DTYPES)) + "|")
    for bug in BUGS:
        rows = [found(bug, dtype, options.cases, options.contract) for dtype in DTYPES]
        print(f"| {bug} |", " | ".join(f"{hits}/{n}" for hits, n in rows), "|", flush=True)
    names = ("out", "lse", "dq", "dk", "dv")
    print("\n| dtype | error |", " | ".join(names), "|")
    print("|---" * (2 + len(names)) + "|")
    for dtype in DTYPES:
        for row in (False, True):
            smalls: dict[str, list[float]] = {name: [] for name in names}
            for seed in range(80_000, 80_000 + min(options.cases, 6)):
                inputs = draw(seed, dtype, family="normal", kind="none")
                right, reference = Simulator()(inputs), compute(inputs)
                for name in names:
                    e = smallest(inputs, right, reference, name, options.contract, row)
                    smalls[name].append(e)
            cells = " | ".join(f"{median(smalls[name]):.1e}" for name in names)
            print(f"| {dtype} | {'one row' if row else 'gain'} | {cells} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
