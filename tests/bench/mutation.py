"""Planted bugs and right implementations through `check`: who is caught, by what, and what rivals say.

    python tests/bench/mutation.py [--level quick|full] [--only CausalStrict] [--seeds 20] [--json FILE]
    python tests/bench/mutation.py --right --first-seed 7 --seeds 1 --no-rivals   # one of 20 processes

Runs the trials of the level in this process, case by case, so that all share a case's reference; a bug
that `check` has caught is not asked again. Exits 1 when a bug was missed or a right one blamed.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import warnings
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from unittest.mock import patch

import torch

sys.path.insert(0, str(Path(__file__).parents[2]))

from attnprobe import profiles
from attnprobe.core.case import Case
from attnprobe.core.outcome import Measured, Outcome
from attnprobe.core.trial import Trial
from attnprobe.device import backends, remembered
from attnprobe.device.answer import answer
from attnprobe.device.inputs import Outputs
from attnprobe.device.subject import Malformed, Subject
from attnprobe.worker.guard import Phases, guarded
from attnprobe.workload import Call, Workload
from tests.bench.rivals import Rivals
from tests.mutation import catalogue

RIVALS = ("assert_close", "allclose", "2x")


@dataclass
class Row:
    """What became of one callable.

    Args:
        name: As `--backend` takes it.
        wrong: Whether it has a planted bug.
        first: Kind of failure, question and case that blamed it first; empty when nothing did.
        message: What was said of it.
        alarms: How many trials blamed it; at most one for a wrong one, which is not asked on.
        trials: How many trials it ran.
        rivals: How many cases each rival blamed.
        told: How many of these where the rival blamed no right implementation.
        cases: How many cases the rivals saw.
        others: Outcomes that are no measurement, by kind.
    """

    name: str
    wrong: bool
    first: str = ""
    message: str = ""
    alarms: int = 0
    trials: int = 0
    rivals: Counter[str] = field(default_factory=Counter)
    told: Counter[str] = field(default_factory=Counter)
    cases: int = 0
    others: Counter[str] = field(default_factory=Counter)

    def tried(self, trial: Trial, outcome: Outcome) -> None:
        """Books one trial."""
        self.trials += 1
        if not isinstance(outcome, Measured):
            self.others[outcome.kind] += 1
            return
        if outcome.parity is None or outcome.parity.verdict != "fail":
            return
        self.alarms += 1
        if not self.first:
            failure = outcome.parity.failures[0]
            where = f"{trial.case.name} {trial.case.label}"
            asked = "" if trial.question == "check" else f"{trial.question} "
            self.first, self.message = f"{failure.kind}: {asked}{where}", failure.message


def bench(
    rows: list[Row], workload: Workload, seeds: range = range(1), rivals: bool = False
) -> None:
    """Runs every case for each seed; wrong callables see the first seed alone."""
    for seed in seeds:
        present = [row for row in rows if not (row.wrong and seed != seeds.start)]
        calls = workload.on("cpu", seed).calls
        for n, call in enumerate(calls):
            if n % 20 == 0:
                left = [row.name.rpartition(":")[2] for row in rows if row.wrong and not row.first]
                print(f"seed {seed}, case {n} of {len(calls)}; not caught:", *left, file=sys.stderr)
            for row in present:
                _trials(row, call)
            if rivals and "check" in call.ask and not call.case.dropout_p:
                _compare(present, call.case)


def _trials(row: Row, call: Call) -> None:
    for question in call.ask:
        if row.wrong and row.first:
            return
        trial = Trial(call.case, row.name, question)
        row.tried(trial, _outcome(trial))


def _outcome(trial: Trial) -> Outcome:
    """As in a child; why a result is wrong is not asked here, which takes seconds."""
    phases = Phases(lambda phase: None)
    with patch("attnprobe.device.answer.explain", lambda parity, *told: parity):
        return guarded(lambda: answer(trial, phases.announce), phases)


def _compare(rows: list[Row], case: Case) -> None:
    """What the rivals say of one case; right ones first: a rule that blames them tells nothing."""
    rivals, trusted = Rivals(remembered.inputs(case)), set(RIVALS)
    for row in sorted(rows, key=lambda row: row.wrong):
        if not (row.wrong and row.told.keys() >= trusted):
            blamed = _blamed(row, rivals)
            row.rivals.update(blamed)
            trusted -= set() if row.wrong else blamed
            row.told.update(blamed & trusted)


def _blamed(row: Row, rivals: Rivals) -> set[str]:
    outputs: Outputs | None
    try:
        outputs = Subject(backends.load(row.name), rivals.inputs).run()
    except Malformed:
        outputs = None
    except Exception:  # noqa: BLE001 - a refusal, or planted code that cannot do this case
        return set()
    row.cases += 1
    return rivals.blame(outputs)


def table(rows: list[Row]) -> str:
    """Every callable on a line, the misses and false alarms first."""
    lines = ["| callable | check | " + " | ".join(RIVALS) + " |", "|---" * 5 + "|"]
    for row in sorted(rows, key=lambda row: (row.wrong == bool(row.first), row.wrong)):
        ours = row.first or ("MISSED" if row.wrong else "right")
        if row.first and not row.wrong:
            ours = f"BLAMED {row.alarms}/{row.trials}: {ours}: {row.message}"
        if row.others and not row.first:
            ours += f" ({', '.join(f'{kind} {n}' for kind, n in row.others.items())})"
        theirs = (f"{row.rivals[rival]}/{row.cases}" for rival in RIVALS)
        lines.append(
            f"| {row.name.removeprefix('tests.mutation.')} | {ours} | {' | '.join(theirs)} |"
        )
    return "\n".join(lines)


def summary(rows: list[Row]) -> str:
    """Found among the wrong, blamed among the right, and told apart."""
    wrong, right = [r for r in rows if r.wrong], [r for r in rows if not r.wrong]
    ours = sum(bool(r.first) for r in wrong)
    runs, alarms = sum(r.trials for r in right), sum(r.alarms for r in right)
    lines = [
        f"| | wrong blamed, of {len(wrong)} | right blamed, of {len(right)} | right blamed, all trials "
        "| wrong told from right |",
        "|---|---|---|---|---|",
        f"| `attnprobe check` | {ours} | {sum(bool(r.first) for r in right)} | {alarms} of {runs} "
        f"| {ours} |",
    ]
    for rival in RIVALS:
        hit, wide = (sum(r.rivals[rival] > 0 for r in kind) for kind in (wrong, right))
        runs, alarms = sum(r.cases for r in right), sum(r.rivals[rival] for r in right)
        told = sum(r.told[rival] > 0 for r in wrong)
        lines.append(f"| {rival} | {hit} | {wide} | {alarms} of {runs} | {told} |")
    return "\n".join(lines)


def main() -> int:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--level", default="quick")
    parser.add_argument("--only", default="", help="names that contain this; commas separate")
    parser.add_argument("--seeds", type=int, default=1, help="how many for the right ones")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--right", action="store_true", help="without the wrong ones")
    parser.add_argument("--no-rivals", action="store_true")
    parser.add_argument("--json", default="")
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    os.nice(5)
    asked = options.only.split(",")
    rows = [] if options.right else [Row(name, True) for name in catalogue.wrong()]
    rows += [Row(name, False) for name in catalogue.sound()]
    rows = [row for row in rows if any(word in row.name for word in asked)]
    began = time.monotonic()
    workload = profiles.load(f"check-{options.level}")
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    bench(rows, workload, seeds, not options.no_rivals)
    print(table(rows), summary(rows), sep="\n\n")
    print(
        f"\n{options.level}, {sum(r.trials for r in rows)} trials, {time.monotonic() - began:.0f} s"
    )
    if options.json:
        Path(options.json).write_text(json.dumps([asdict(row) for row in rows], indent=1))
    return int(any(row.wrong != bool(row.first) for row in rows))


if __name__ == "__main__":
    sys.exit(main())
