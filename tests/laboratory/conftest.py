"""Planted bugs and right implementations as the laboratory sees them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from attnprobe.core.case import Case
from attnprobe.core.parity import Failure
from attnprobe.device import laboratory
from attnprobe.device.backends._user import UserCallable
from attnprobe.device.inputs import make
from attnprobe.device.subject import Subject

Find = Callable[..., set[str]]


def subject(function: Callable[..., Any], case: Case) -> Subject:
    """A callable with the signature of SDPA, and the inputs of a case."""
    return Subject(UserCallable("mine", function), make(case))


@pytest.fixture
def found() -> Callable[..., tuple[Failure, ...] | laboratory.Skipped]:
    """Runs an experiment on a callable and a case."""

    def run(
        name: str, function: Callable[..., Any], case: Case
    ) -> tuple[Failure, ...] | laboratory.Skipped:
        return laboratory.load(name)(subject(function, case))

    return run


@pytest.fixture
def kinds(found: Callable[..., tuple[Failure, ...] | laboratory.Skipped]) -> Find:
    """The kinds of what an experiment finds; it must not have been skipped."""

    def run(name: str, function: Callable[..., Any], case: Case) -> set[str]:
        result = found(name, function, case)
        assert isinstance(result, tuple), result
        return {failure.kind for failure in result}

    return run
