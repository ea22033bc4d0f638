"""A backend that is told another case than the one that is meant: an argument left out, or misread."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from attnprobe.core.backend_fact import Claim
from attnprobe.core.case import Case
from attnprobe.device import backends
from attnprobe.device.backends.base import Backend, Prepared
from attnprobe.device.inputs import Inputs
from attnprobe.device.lowering.base import Refusal


class Told(Backend):
    """Judged by what is meant, held to the contract of who makes the call.

    Args:
        name: `written/NAME` or `mended/NAME`.
        tells: The case that is said instead of the one that is meant.
        by: Name of the backend that makes the call, given the case that it is told.
    """

    def __init__(self, name: str, tells: Callable[[Case], Case], by: Callable[[Case], str]) -> None:
        self.name, self._tells, self._by = name, tells, by

    def available(self) -> None:
        """Known when the case is: `prepare` says what is missing."""

    def claim(self) -> Claim:
        """It says nothing of itself."""
        return Claim(None, "code that people write", self.name)

    def contract(self, case: Case) -> str:
        """That of the call inside."""
        return backends.load(self._by(self._tells(case))).contract(case)

    def prepare(self, inputs: Inputs) -> Prepared | Refusal:
        """The same tensors, of another case."""
        told = self._tells(inputs.case)
        return backends.load(self._by(told)).prepare(replace(inputs, case=told))
