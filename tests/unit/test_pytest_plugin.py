"""`pytest --attnprobe FILE.py:FUNC` and the fixture `attnprobe`."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

from attnprobe import kernel_tests, pytest_plugin
from attnprobe.core.outcome import Crashed, Measured, Outcome, Refused
from attnprobe.core.parity import Failure, Parity
from attnprobe.core.trial import Record, Trial

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[2]
RIGHT = Measured("", Parity("pass", "fused_tc"))
WRONG = Measured(
    "",
    Parity(
        "fail",
        "fused_tc",
        failures=(Failure("leak", "key 5 leaks", "window off by one", error_after=0.5),),
    ),
)
Run = Callable[..., pytest.RunResult]


@pytest.fixture
def run(pytester: pytest.Pytester) -> Run:
    """Pytest in this process, the plugin loaded once: by its entry point or by name."""
    installed = entry_points(group="pytest11", name="attnprobe")
    load = [] if installed else ["-p", "attnprobe.pytest_plugin"]
    return lambda *options: pytester.runpytest_inprocess(*load, "-p", "no:cacheprovider", *options)


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Trial], Outcome]], None]:
    """Lets a function stand for the child."""

    def become(outcome: Callable[[Trial], Outcome]) -> None:
        ask = lambda self, trial: Record(trial, outcome(trial))  # noqa: E731 - a method of one line
        monkeypatch.setattr(kernel_tests.Laboratory, "ask", ask)
        monkeypatch.setattr(kernel_tests.Laboratory, "device", lambda self, asked: "cpu")

    return become


def test_an_item_for_every_question(run: Run, answers: Any):
    """One test per case, dtype and question, with a name that says which."""
    answers(lambda trial: RIGHT)
    result = run("--attnprobe", "kernel.py:mine", "--collect-only", "-q")
    listed = [line for line in result.outlines if "kernel.py:mine[" in line]
    assert len(listed) == len(set(listed)) > 50
    assert any("[alibi-float16-check]" in line for line in listed)


def test_a_wrong_kernel_fails_with_the_words_of_check(run: Run, answers: Any):
    """Failure, hypothesis and contract are shown, no traceback of the plugin; -k chooses."""
    answers(lambda trial: WRONG if trial.case.dtype == "float16" else RIGHT)
    result = run("--attnprobe", "kernel.py:mine", "-k", "alibi or softcap")
    result.assert_outcomes(passed=4, failed=2, deselected=None)
    result.stdout.fnmatch_lines(
        ["*leak: key 5 leaks; explained by: window off by one", "held to the contract fused_tc*"]
    )
    result.stdout.no_fnmatch_line("*pytest_plugin.py*")


def test_a_refusal_is_skipped_with_its_reason(run: Run, answers: Any):
    """What the callable does not take is neither right nor wrong."""
    answers(lambda trial: Refused("library", ("no float16 here",)))
    result = run("--attnprobe", "kernel.py:mine", "-k", "alibi", "-rs")
    result.assert_outcomes(skipped=3)
    result.stdout.fnmatch_lines(["*no float16 here*"])


def test_a_crash_fails_one_test(run: Run, answers: Any):
    """The death of the child is one test's failure."""
    answers(lambda t: Crashed("forward", "SIGSEGV") if t.case.dtype == "float16" else RIGHT)
    result = run("--attnprobe", "kernel.py:mine", "-k", "alibi")
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["*crashed in forward: killed by SIGSEGV*"])


def test_an_unknown_level_is_bad_usage(run: Run, answers: Any):
    """Pytest ends with its own code for bad usage, and the levels are named."""
    answers(lambda trial: RIGHT)
    result = run("--attnprobe", "kernel.py:mine", "--attnprobe-level", "fast")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*there is no level 'fast'*"])


def test_paths_are_collected_beside(run: Run, answers: Any, pytester: pytest.Pytester):
    """With a path on the command line its tests run too; without one the callables' tests alone."""
    answers(lambda trial: RIGHT)
    pytester.makepyfile(test_other="def test_alibi(): pass")
    run("--attnprobe", "kernel.py:mine", "-k", "alibi").assert_outcomes(passed=3)
    both = run("--attnprobe", "kernel.py:mine", "-k", "alibi", "test_other.py")
    both.assert_outcomes(passed=4)


FIXTURE = """
from torch.nn.functional import scaled_dot_product_attention

def right(query, key, value, **options):
    return scaled_dot_product_attention(query, key, value, **options)

def dies(query, key, value, **options):
    import os
    os.abort()

def test_right(attnprobe):
    attnprobe.check(right, mask="decode", dtype="float32", device="cpu")

def test_dies(attnprobe):
    attnprobe.check(dies, mask="decode", dtype="float32", device="cpu")

def test_closure(attnprobe):
    factor = 1.02
    def wrong(query, key, value, **options):
        return factor * scaled_dot_product_attention(query, key, value, **options)
    attnprobe.check(wrong, mask="decode", dtype="float32", device="cpu")
"""


@pytest.mark.slow
def test_the_fixture_checks_functions_and_closures(run: Run, pytester: pytest.Pytester):
    """A right function passes, one that aborts fails its own test, a closure is run in place."""
    pytester.makepyfile(FIXTURE)
    result = run()
    result.assert_outcomes(passed=1, failed=2)
    result.stdout.fnmatch_lines(["*crashed in forward: killed by SIGABRT*", "*accuracy: out is*"])


def test_what_another_process_can_import():
    """A function of a file is named by it, one of an importable package by its module, a closure not."""

    def closure() -> None:
        """Nowhere to be found."""

    assert pytest_plugin.importable(closure) == ""
    assert pytest_plugin.importable(lambda: None) == ""
    name = pytest_plugin.importable(pytest_plugin.importable)
    assert name == "attnprobe.pytest_plugin:importable"


def test_nothing_heavy_is_imported_when_it_is_not_used():
    """Loading the plugin costs what its own lines cost."""
    code = (
        "import sys, attnprobe.pytest_plugin; "
        "print(sorted({'torch', 'pydantic', 'rich', 'yaml', 'typer'} & set(sys.modules)))"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert shown.stdout.strip() == "[]"
