"""Every rule on every call that anybody has written down: no rule fails, and none blames a sound one."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from attnprobe import pitfalls, profiles
from attnprobe.core.diagnosis import Subject, Suspicion
from attnprobe.core.environment import Environment, Package
from attnprobe.device import backends, habits
from attnprobe.diagnosis import suspicions
from attnprobe.diagnosis.subjects import subjects
from attnprobe.workload import Workload
from tests.pitfalls import pairs
from tests.unit.fake_machine import MACHINE, TORCH, with_gpu

OLD = replace(
    MACHINE,
    torch=replace(TORCH, version="2.5.1+cu121", cuda="12.1", cudnn="9.1.0"),
    packages=(Package("torch", "2.5.1+cu121"), Package("xformers", "0.0.28")),
)
NOTHING = Environment(attnprobe="0", python="3.10.0", os="Linux", cpu="CPU", cores=2)
MACHINES = {
    "H200": MACHINE,
    "old": OLD,
    "blackwell": with_gpu(name="NVIDIA B200", capability=(10, 0)),
    "volta": with_gpu(name="V100", capability=(7, 0)),
    "nothing known": NOTHING,
}
SOUND = ("llama3-8b", "llama3-70b", "mistral-window", "dit", "gemma-softcap-window", "bert-padding")
"""Shipped workloads of modern models as people run them: 16 bits, flags for masks, shared heads."""


def suspected(workload: Workload, device: str, machine: Environment) -> list[Suspicion]:
    """What all rules say of a workload."""
    found = subjects(workload, workload.on(device).calls)
    return suspicions(found, device, machine, pitfalls.names())


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_no_rule_fails_on_a_shipped_workload(machine: str, device: str) -> None:
    """Predictions are numbers, experiments one edit apart, whatever the call and the machine."""
    for name in profiles.names():
        for found in suspected(profiles.load(name), device, MACHINES[machine]):
            assert found.prediction is not None
            assert not math.isnan(found.prediction.low + found.prediction.high)


@pytest.mark.parametrize("machine", MACHINES)
def test_no_rule_fails_on_the_pair_of_another(machine: str) -> None:
    """Calls that are wrong on purpose, with each backend and each habit."""
    names = backends.names()
    for number, name in enumerate(pitfalls.names()):
        pair = pairs.load(name)
        for device in pairs.devices(name):
            calls = pair.workload.on(device).calls
            found = subjects(pair.workload, calls)
            other = replace(found[0], backend=names[number % len(names)], habits=habits.names())
            suspicions([*found, other], device, MACHINES[machine], pitfalls.names())


@pytest.mark.parametrize("name", SOUND)
def test_a_sound_workload_is_not_suspected_of_much(name: str) -> None:
    """What is suspected of it must be worth a GPU's time: at most two rules, none of them critical."""
    found = suspected(profiles.load(name), "cuda", MACHINE)
    assert {s.name for s in found if s.severity == "critical"} == set()
    assert len({s.name for s in found}) <= 2, {s.name: s.why for s in found}


def test_every_habit_alone_raises_at_most_its_own() -> None:
    """A word for one mistake must not be taken for another."""
    by_habit = {
        habit: name
        for name in pitfalls.names()
        for call in pairs.load(name).workload.calls
        for habit in call.habits
    }
    for habit, name in by_habit.items():
        pair = pairs.load(name)
        device = pairs.devices(name)[0]
        mine = [s for s in pair.on("has", device) if habit in s.habits]
        plain: list[Subject] = [replace(subject, habits=()) for subject in mine]
        with_it = {s.name for s in suspicions(mine, device, MACHINE, pitfalls.names())}
        without = {s.name for s in suspicions(plain, device, MACHINE, pitfalls.names())}
        owners = with_it - without
        assert len(owners) <= 2, f"{habit}: {owners}"
