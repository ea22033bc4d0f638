"""What narrows and ends a check: --only, --shape, --fail-fast, --level."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from attnprobe import plan, profiles
from attnprobe.cli.check import _workload
from attnprobe.device import laboratory
from attnprobe.errors import UsageError
from attnprobe.workload import parse

TEXT = """
name: w
cases:
  - {name: a, Hq: 4, Mq: 8, K: 8, ask: [check, leak, dropout]}
  - {name: b, Hq: 4, Mq: 8, K: 8, B: 2, q_lengths: [1, 8]}
  - {name: c, Hq: 4, Mq: 8, K: 8, layout: packed-qkv}
"""


def asks(*only: str) -> list[tuple[str, ...]]:
    return [call.ask for call in plan.choose(parse(TEXT, "w"), [], [], only).calls]


@pytest.mark.parametrize(
    ("only", "left"),
    [
        (("leak",), [("leak",)]),
        (("accuracy",), [("check",)] * 3),
        (("leak", "dropout"), [("leak", "dropout")]),
    ],
)
def test_only_keeps_the_questions_that_find_it(only: tuple[str, ...], left: list) -> None:
    """By the experiment's name, or by a kind of failure."""
    assert asks(*only) == left


def test_a_question_nobody_asks_is_bad_usage() -> None:
    """With the nearest that is asked."""
    with pytest.raises(UsageError, match="leek") as caught:
        asks("leek")
    assert "leak" in caught.value.fix


def test_shape_moves_every_case_there_that_can_have_it() -> None:
    """Cases with lengths stay out, as do layouts that the shape does not allow."""
    calls = plan.reshape(parse(TEXT, "w"), "2,4,2,7,9,16").calls
    assert [call.case.name for call in calls] == ["a"]
    assert calls[0].case.label.startswith("B2 H4/2 M7x9 K16")


@pytest.mark.parametrize("shape", ["1,2,3", "2,4,2,7,9,x", "2,4,2,7,9,0", "1,4,3,8,8,8"])
def test_a_shape_that_is_none_is_bad_usage(shape: str) -> None:
    """Not six numbers, or heads that do not divide."""
    with pytest.raises(UsageError):
        plan.reshape(parse(TEXT, "w"), shape)


@pytest.mark.parametrize("level", ["quick", "full"])
def test_a_level_is_a_workload_that_ships_and_asks_experiments(level: str) -> None:
    """Both levels ask for accuracy and for most experiments."""
    asked = {name for call in profiles.load(_workload("", level)).calls for name in call.ask}
    assert "check" in asked
    assert len(asked & set(laboratory.names())) >= 10


def test_the_full_level_asks_every_experiment() -> None:
    """None is left out."""
    asked = {name for call in profiles.load("check-full").calls for name in call.ask}
    assert asked >= set(laboratory.names())


def test_a_level_beside_a_workload_is_bad_usage() -> None:
    """Which of the two is meant cannot be known."""
    with pytest.raises(UsageError):
        _workload("mine.yaml", "full")
    with pytest.raises(UsageError, match="there is no level"):
        _workload("", "fast")


@pytest.mark.slow
def test_fail_fast_stops_at_the_first_wrong_result(tmp_path: Path) -> None:
    """The session notes what was not run."""
    mine = tmp_path / "mine.py"
    mine.write_text("def zero(query, key, value, **kwargs):\n    return query * 0\n")
    command = [sys.executable, "-m", "attnprobe", "check", "--backend", f"{mine}:zero"]
    options = ["--dtype", "float32", "--mask", "none", "--device", "cpu", "--fail-fast"]
    session = str(tmp_path / "s.jsonl")
    ended = subprocess.run(
        [*command, *options, "--session", session], capture_output=True, text=True
    )
    assert ended.returncode == 1, ended.stderr
    assert "stopped at the first failure" in ended.stdout
