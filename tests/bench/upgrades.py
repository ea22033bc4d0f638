"""No upgrade at all: how often does the same software, on the same machine, differ from itself?

    python tests/bench/upgrades.py [--sessions 6] [--runs 4] [--device auto] [--backend NAME ...]

First sessions that are taken one after the other: every two of them are compared, as `attnprobe
compare` does. The least allowance with which at most 5% of the comparisons call anything different is
printed: `compare/ratios.py: BETWEEN_SESSIONS` should not be below it. Then runs in which two
interpreters (the same one twice) take turns. Exits with 1 where more than one comparison in ten calls
something different.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from attnprobe import plan, profiles, survey, upgrade
from attnprobe.cli.progress import Progress
from attnprobe.compare import compare
from attnprobe.compare.records import Comparison, Speed
from attnprobe.core.report import Report
from attnprobe.core.trial import Record
from attnprobe.session.lines import Header

BACKENDS = ("sdpa-flash", "sdpa-cudnn", "sdpa-mem-efficient", "sdpa-math", "eager")
TOLERATED = 0.05


def measure(of: survey.Survey, options: argparse.Namespace) -> list[Record]:
    """One session's times of the first-timing workload."""
    here = survey.device(options.device, of.machine())
    of.require(options.backend)
    calls = plan.place(profiles.load(options.workload), here, 0)
    return of.time("timing", plan.trials(calls, options.backend, "time"))


def apart(options: argparse.Namespace) -> Report:
    """A session on its own."""
    with survey.opened(Header("profile", options.workload), None, "new", None, Progress) as of:
        measure(of, options)
        return of.finish()


def in_turns(options: argparse.Namespace) -> Comparison:
    """This interpreter against itself."""
    header = Header("profile", options.workload)
    with (
        survey.opened(header, None, "new", None, Progress) as old,
        survey.opened(header, None, "new", None, Progress) as new,
    ):
        sides = []
        for name, of in (("OLD", old), ("NEW", new)):
            known = {record.trial.id: record for record in measure(of, options)}
            of.worker.retire()
            sides.append(upgrade.Side(name, of.worker.trial, of.worker.retire, known))
        with Progress("taking turns") as progress:
            taken = upgrade.take_turns(sides[0], sides[1], progress)
        for of, records in ((old, taken.old), (new, taken.new)):
            for record in records:
                of.journal.record(record)
        return compare(old.finish(), new.finish())


def speeds(found: Comparison) -> list[Speed]:
    """All ratios of a comparison."""
    return [speed for pair in found.pairs for speed in pair.speeds]


def off(speed: Speed) -> float:
    """By how much an interval misses 1; 0 when it holds it."""
    return max(0.0, speed.ratio.low - 1.0, 1.0 - speed.ratio.high)


def told(what: str, found: Sequence[Comparison]) -> float:
    """Prints how a number of comparisons went; the share of those that call something different."""
    ratios = [speed for one in found for speed in speeds(one)]
    if not ratios:
        reasons = dict.fromkeys(why for one in found for pair in one.pairs for why in pair.withheld)
        print(f"\n{what}: nothing can be compared here: {'; '.join(reasons)}")
        return 0.0
    different = [any(s.verdict != "indistinguishable" for s in speeds(one)) for one in found]
    worst = sorted(max(map(off, speeds(one)), default=0.0) for one in found)
    enough = worst[min(len(worst) - 1, int((1 - TOLERATED) * len(worst)))]
    widths = sorted((s.ratio.high - s.ratio.low) / 2 for s in ratios)
    print(
        f"\n{what}: {len(found)} comparisons of {len(ratios) / max(1, len(found)):.0f} ratios each"
    )
    print(f"  something is called different in  {sum(different)} of {len(found)}")
    print(f"  intervals that miss 1             {sum(off(s) > 0 for s in ratios)} of {len(ratios)}")
    print(f"  median off by, at worst           {max(abs(s.ratio.median - 1) for s in ratios):.2%}")
    print(f"  half width, median and 95%        {widths[len(widths) // 2]:.2%}", end=", ")
    print(f"{widths[int(0.95 * len(widths))]:.2%}")
    print(f"  allowance with which 95% are calm {enough:.2%}")
    return sum(different) / len(found)


def main() -> int:
    """Both experiments."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sessions", type=int, default=6)
    parser.add_argument("--runs", type=int, default=4)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--workload", default="first-timing")
    parser.add_argument("--backend", nargs="+", default=list(BACKENDS))
    options = parser.parse_args()
    sessions = [apart(options) for _ in range(options.sessions)]
    shares = [told("sessions apart", [compare(*two) for two in combinations(sessions, 2)])]
    if options.runs:
        shares.append(told("in turns", [in_turns(options) for _ in range(options.runs)]))
    return int(max(shares) > 2 * TOLERATED)


if __name__ == "__main__":
    sys.exit(main())
