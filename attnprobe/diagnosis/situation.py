"""What a rule may look at: the call, its neighbours in the workload, and the machine."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from attnprobe.core.case import Case
from attnprobe.core.diagnosis import Arm, Subject
from attnprobe.core.environment import Environment

SMALL = 256
"""Tokens that show what does not depend on size: two blocks of any kernel."""


@dataclass(frozen=True)
class Situation:
    """One call on one machine. Nothing here costs anything: no torch, no child, no file.

    Args:
        subject: The call.
        workload: All calls of the workload, this one included.
        device: cpu or cuda: where experiments run; of one without GPU what NVML shows decides.
        environment: The machine; its `torch` is None where nothing was started.
    """

    subject: Subject
    workload: tuple[Subject, ...]
    device: str
    environment: Environment

    @property
    def case(self) -> Case:
        """The call's case."""
        return self.subject.case

    @property
    def backend(self) -> str:
        """What the user's code calls."""
        return self.subject.backend

    @property
    def on_cuda(self) -> bool:
        """True when the call runs on a GPU."""
        return self.device.startswith("cuda")

    def has(self, habit: str) -> bool:
        """Whether the code around the call does that."""
        return habit in self.subject.habits

    def calls(self, *families: str) -> bool:
        """Whether the code calls one of these: a name, or the beginning of names (`xformers`)."""
        name = self.backend
        return any(name == family or name.startswith(f"{family}-") for family in families)

    def arm(self, backend: str = "", **edits: Any) -> Arm:
        """The call with some fields changed.

        Args:
            backend: Who makes it; the user's own where empty.
            edits: Fields of the case.
        """
        return Arm(self.case.edit(**edits), backend or self.backend)

    def small(self, backend: str = "", **edits: Any) -> Arm:
        """One sequence of the call, of at most `SMALL` tokens: for what shows at any size.

        Code around a call may hold all scores, or run on the CPU, where the user's sizes do not fit.

        Args:
            backend: Who makes it; the user's own where empty.
            edits: Fields of the case that are neither the user's nor small.
        """
        Mq, Mkv = min(self.case.Mq, SMALL), min(self.case.Mkv, SMALL)
        return self.arm(backend, **{"B": 1, "Mq": Mq, "Mkv": Mkv, "lengths": None} | edits)

    @cached_property
    def versions(self) -> dict[str, str]:
        """Version of every distribution of interest on disk; a live torch counts more."""
        found = {package.name: package.version for package in self.environment.packages}
        if self.environment.torch is not None:
            found["torch"] = self.environment.torch.version
        return found

    def release(self, package: str) -> tuple[int, ...]:
        """Numbers at the start of a version, `2.11.0+cu130` is (2, 11, 0); empty where not installed."""
        found = re.match(r"\d+(\.\d+)*", self.versions.get(package, ""))
        return tuple(map(int, found[0].split("."))) if found else ()

    @property
    def capability(self) -> tuple[int, int] | None:
        """Compute capability of the first GPU; None without."""
        return self.environment.gpus[0].capability if self.environment.gpus else None

    @property
    def multiprocessors(self) -> int:
        """SMs of the first GPU; 132, an H100's or H200's, where no child has said."""
        gpus = self.environment.gpus
        return (gpus[0].multiprocessors if gpus else None) or 132
