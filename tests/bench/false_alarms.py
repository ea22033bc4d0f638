"""How often right implementations are blamed: random cases, a table per backend and dtype.

    python tests/bench/false_alarms.py [--device cuda] [--cases 300] [--seed 1000] [--top 200]
                                       [--libraries]

Prints backend, dtype, evaluations, false alarms, worst ratio, verdicts without evidence, the share of
cases that meet each contract (the ladder, cumulative). Exits 1 when there was a false alarm.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[2]))

from attnprobe.core.parity import Parity
from attnprobe.core.score import Score
from attnprobe.device import backends as registry
from attnprobe.device.inputs import Inputs
from attnprobe.device.numerics import contracts
from attnprobe.device.numerics.judge import judge
from attnprobe.device.reference import at_home
from attnprobe.device.subject import Declined, Subject
from tests.numerics.random_cases import draw
from tests.numerics.right_backends import Right, of
from tests.numerics.simulator import Simulator

DTYPES = ("float32", "bfloat16", "float16")


@dataclass
class Tally:
    """One row of the table."""

    n: int = 0
    alarms: int = 0
    blind: int = 0
    worst: float = 0.0
    at: str = ""
    classes: Counter[str] = field(default_factory=Counter)

    def add(self, parity: Parity, label: str) -> None:
        self.n += 1
        self.alarms += parity.verdict == "fail"
        self.blind += parity.verdict == "no_power"
        self.classes[parity.numerics_class or "none"] += 1
        for name, quantity in parity.quantities.items():
            if quantity.ratio > self.worst:
                self.worst, self.at = quantity.ratio, f"{name}.{quantity.level} {label}"


def cases(seed: int, dtype: str, device: str, top: int) -> Inputs:
    """Every fourth case has a soft cap, every fourth ALiBi, unless its kind brings a bias."""
    inputs = draw(seed, dtype, device, top=top)
    if inputs.bias is not None or seed % 4 < 2:
        return inputs
    own = Score(softcap=(2.0, 15.0, 50.0)[seed % 3]) if seed % 4 == 2 else Score(alibi=True)
    return draw(seed, dtype, device, top=top, score=own)


def backends(device: str, libraries: bool) -> dict[str, Right]:
    """Torch's own, and on the CPU the tiled simulator without a bug.

    Args:
        device: cpu or cuda.
        libraries: Instead: every backend that can be imported here and does not compile, lowered and
            launched as `attnprobe check` does it.
    """
    if libraries:
        loaded = {name: registry.load(name) for name in registry.names() if _importable(name)}
        return {
            name: Right(
                lambda inputs, backend=backend: Subject(backend, inputs).run(),
                lambda case, backend=backend: backend.contract(case),
                empty_rows=backend.empty_rows == "zero",
            )
            for name, backend in loaded.items()
            if not backend.compiles
        }
    own = {"simulator": Right(Simulator(), "fused", "cpu")} if device == "cpu" else {}
    return of(device) | own


def _importable(name: str) -> bool:
    """Whether the library is there; a claim alone may say so of one that is not."""
    try:
        registry.load(name).available()
    except Exception:  # noqa: BLE001 - a broken library may raise anything
        return False
    return True


def main() -> int:
    """Runs everything and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--cases", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1000)
    parser.add_argument("--top", type=int, default=200)
    parser.add_argument("--backend", default="")
    parser.add_argument("--dtype", default="")
    parser.add_argument("--libraries", action="store_true")
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    if options.device == "cpu":
        torch.set_num_threads(1)
    known = backends(options.device, options.libraries)
    found: dict[tuple[str, str], Tally] = {}
    spent: Counter[str] = Counter()
    alarms = []
    for dtype in filter(lambda d: options.dtype in d, DTYPES):
        for seed in range(options.seed, options.seed + options.cases):
            inputs = cases(seed, dtype, options.device, options.top)
            start = time.perf_counter()
            reference = at_home(inputs)
            spent["reference"] += time.perf_counter() - start
            empty = bool((reference.compared & ~reference.has_keys).any())
            for name, backend in known.items():
                if options.backend not in name or (empty and not backend.empty_rows):
                    continue
                try:
                    outputs = backend.run(inputs)
                except (NotImplementedError, RuntimeError, ValueError, Declined):
                    continue  # this implementation does not do this case
                start = time.perf_counter()
                passes = "fwd" if outputs.dq is None else "fwd+bwd"
                asked = replace(inputs, case=inputs.case.edit(passes=passes))
                contract = backend.contract
                held = contract if isinstance(contract, str) else contract(inputs.case)
                parity = judge(outputs, asked, reference, held)
                spent["judge"] += time.perf_counter() - start
                label = f"{inputs.case.name} {inputs.case.label} seed {seed}"
                found.setdefault((name, dtype), Tally()).add(parity, label)
                if parity.verdict == "fail":
                    alarms.append(
                        f"{name} {label}: " + "; ".join(f.message for f in parity.failures)
                    )
    _print(found)
    for alarm in alarms[:200]:
        print("FALSE ALARM", alarm)
    print(", ".join(f"{name} {seconds:.1f} s" for name, seconds in spent.items()))
    return 1 if alarms else 0


def _print(found: dict[tuple[str, str], Tally]) -> None:
    rungs = contracts.names()
    print("| backend | dtype | n | false alarms | no power | worst ratio |", " | ".join(rungs), "|")
    print("|---" * (6 + len(rungs)) + "|")
    for (name, dtype), tally in found.items():
        shares, reached = [], 0
        for rung in rungs:
            reached += tally.classes[rung]
            shares.append(f"{100 * reached / tally.n:.0f} %")
        row = (name, dtype, tally.n, tally.alarms, tally.blind, f"{tally.worst:.3g}", *shares)
        print("|", " | ".join(map(str, row)), "|")
    total, n = sum(t.alarms for t in found.values()), sum(t.n for t in found.values())
    print(f"{total} false alarms in {n} evaluations")
    for key, tally in found.items():
        print("worst of", *key, f"{tally.worst:.3f}", tally.at)


if __name__ == "__main__":
    sys.exit(main())
