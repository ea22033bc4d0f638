"""Every file of device/laboratory/ keeps the same promises."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

from attnprobe.core.case import Case
from attnprobe.core.outcome import Measured, Refused
from attnprobe.core.trial import Trial
from attnprobe.device import laboratory
from attnprobe.device.answer import answer
from attnprobe.errors import UsageError
from attnprobe.workload import parse

CASE = Case(B=1, Hq=2, Hkv=2, Mq=16, Mkv=16, K=16, Kv=16, dtype="float32")


def test_the_registry_needs_no_torch() -> None:
    """The host checks the names in a workload without it."""
    program = (
        "import sys; from attnprobe.device import laboratory;"
        "assert 'leak' in laboratory.names(); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize("name", laboratory.names())
def test_every_experiment_says_what_it_finds_and_why_it_blames_no_right_kernel(name: str) -> None:
    """In its file's docstring: a title, and at least one paragraph."""
    file = f"{laboratory.__name__}.{name.replace('-', '_')}"
    said = importlib.import_module(file).__doc__ or ""
    assert "\n\n" in said
    assert "right" in said


@pytest.mark.parametrize("name", laboratory.names())
def test_every_experiment_is_an_answer_to_a_trial(name: str) -> None:
    """A right backend passes, or the reason is told why nothing was said."""
    outcome = answer(Trial(CASE, "sdpa-math", name), lambda phase: None)
    assert isinstance(outcome, Measured)
    assert outcome.parity is not None
    assert outcome.parity.failures == ()
    assert outcome.parity.verdict == "pass" or outcome.parity.unsaid


def test_a_refusal_is_an_outcome_of_an_experiment_too() -> None:
    """SDPA has no soft cap."""
    case = CASE.edit(score=CASE.score.__class__(softcap=3.0))
    assert isinstance(answer(Trial(case, "sdpa-math", "leak"), lambda phase: None), Refused)


def test_a_workload_asks_by_name() -> None:
    """And an unknown name is reported with the nearest known one."""
    text = "name: w\ncases:\n  - {Hq: 1, Mq: 4, K: 8, ask: [check, %s]}\n"
    assert parse(text % "leak", "w").calls[0].ask == ("check", "leak")
    with pytest.raises(UsageError, match=r"(?s)leek.*did you mean leak"):
        parse(text % "leek", "w")
