"""Comparisons on simulated machines, where the truth is known: `python tests/bench/timing_simulated.py`.

The machines are those of tests/measure/test_paired.py; calls take 0.3 ms and vary by 1%, a comparison
may take 0.15 s. Some two minutes for 1,500 races of each kind on one core.

PASS: intervals of a function against itself exclude 1 in at most 5%, and of those against one that is 3%
slower that reached the target of 1%, at least 95% say so. Exits with 1 otherwise.
"""

from __future__ import annotations

import argparse
import sys
from math import log
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.measure.test_paired import MACHINES, race

TARGET = 0.01


def main() -> int:
    """One row per machine; 1 when one of them fails."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--races", type=int, default=1500, help="of each kind on each machine")
    races = parser.parse_args().races
    print(f"{'machine':26s} excludes 1  different  |  3% slower: reached 1%    found")
    failed = 0
    for machine in MACHINES:
        same, slow = (
            [race(1000 + seed, factor, machine, 3e-4, 0.01, 0.15) for seed in range(races)]
            for factor in (1.0, 1.03)
        )
        excluded = sum(not one.low <= 1.0 <= one.high for one in same) / races
        different = sum(one.verdict != "indistinguishable" for one in same) / races
        narrow = [one for one in slow if log(one.high / one.low) / 2 <= TARGET]
        found = sum(one.verdict == "slower" for one in narrow) / max(1, len(narrow))
        right = excluded <= 0.05 and (found >= 0.95 or not narrow)
        failed += not right
        print(
            f"{machine:26s} {excluded:10.1%} {different:10.1%}  |  {len(narrow) / races:21.1%} "
            f"{found:8.1%}  {'PASS' if right else 'FAIL'}",
            flush=True,
        )
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
