"""What the explainer says of a callable on a case."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from attnprobe.core.case import Case
from attnprobe.core.parity import Parity
from attnprobe.device.backends._user import UserCallable
from attnprobe.device.explainer import explain, past
from attnprobe.device.inputs import make
from attnprobe.device.numerics.judge import judge
from attnprobe.device.reference import compute
from attnprobe.device.subject import Subject

Explained = Callable[[Callable[..., Any], Case], Parity]


@pytest.fixture(autouse=True)
def _alone() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    past.forget()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def explained() -> Explained:
    """Runs a callable with the signature of SDPA on a case, judges it, and explains what failed."""

    def run(function: Callable[..., Any], case: Case) -> Parity:
        inputs = make(case)
        subject, truth = Subject(UserCallable("mine", function), inputs), compute(inputs)
        outputs = subject.run()
        parity = judge(outputs, inputs, truth, "fused_tc")
        return explain(parity, outputs, inputs, truth, subject.run)

    return run
