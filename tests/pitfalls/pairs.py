"""The pair of every rule: a workload that has the pitfall, and one next to it that has not.

`tests/pitfalls/pairs/NAME.yaml` is a workload whose cases are called `has` and `healthy`; several may
have one name where a pitfall has several faces, and each `has` must be confirmed. Where a GPU and a CPU
need shapes of their own there is one of each for `device: cpu` and for `device: cuda`. What is wrong
with a machine and not with a call stands in `machines/NAME.py`: `HAS` and `HEALTHY`, two environments.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from attnprobe import pitfalls
from attnprobe.core.diagnosis import Subject, Suspicion
from attnprobe.core.environment import Environment
from attnprobe.diagnosis import suspicions
from attnprobe.diagnosis.subjects import subjects
from attnprobe.workload import Workload, parse
from tests.unit.fake_machine import MACHINE

FOLDER = Path(__file__).with_name("pairs")
SIDES = ("has", "healthy")


@dataclass(frozen=True)
class Pair:
    """One rule's pair.

    Args:
        name: The rule's.
        workload: Cases called `has` and `healthy`.
    """

    name: str
    workload: Workload

    @property
    def devices(self) -> list[str]:
        """Where `has` is meant to run."""
        found = {case.device for case in self.workload.cases if case.name == "has"}
        return ["cpu", "cuda"] if "auto" in found else sorted(found)

    def on(self, side: str, device: str) -> tuple[Subject, ...]:
        """The calls of one side: those of that name, and all that have another name."""
        other = {"has": "healthy", "healthy": "has"}[side]
        calls = self.workload.on(device).calls
        return subjects(self.workload, [c for c in calls if c.case.name != other])

    def suspected(
        self, side: str, device: str, environment: Environment | None = None
    ) -> list[Suspicion]:
        """What the rule suspects of one side.

        Args:
            side: has or healthy.
            device: cpu or cuda.
            environment: The machine; a made-up one with a H200 where None.
        """
        machine = environment or made_up(self.name, side)
        found = suspicions(self.on(side, device), device, machine, [self.name])
        # what `has` needs around it (other lengths of one workload) is not the pair's subject
        return [s for s in found if s.subject.case.name == side or pitfalls.load(self.name).once]


@cache
def load(name: str) -> Pair:
    """The pair of a rule."""
    path = FOLDER / f"{name}.yaml"
    return Pair(name, parse(path.read_text(), str(path)))


def made_up(name: str, side: str) -> Environment:
    """The made-up machine of one side of a pair."""
    file = FOLDER.with_name("machines") / f"{name.replace('-', '_')}.py"
    if not file.exists():
        return MACHINE
    module = importlib.import_module(f"tests.pitfalls.machines.{file.stem}")
    found: Environment = getattr(module, side.upper())
    return found


def devices(name: str) -> list[str]:
    """Where a pair can be run."""
    return load(name).devices
