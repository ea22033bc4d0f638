"""Trials of published bugs as scripts: the call itself, its source, and what counts as the bug."""

from __future__ import annotations

import ast

import pytest

from attnprobe import known_bugs
from attnprobe.core.outcome import Measured, Raised
from attnprobe.core.parity import Failure, Parity, Quantity
from attnprobe.core.trial import Record, Trial
from attnprobe.repro import wrong
from tests.repro.scripts import executed, record, write

TRIALS = known_bugs.trials("cuda")
BROKEN = Measured(
    "",
    Parity(
        "fail",
        "fused",
        quantities={"out": Quantity("fail", 9.0, "element", 0.5)},
        failures=(Failure("accuracy", "out is off", of="out"),),
    ),
)


def here(name: str) -> Record:
    """The first suspect of a bug, answered in this process."""
    trial = next(t for t in TRIALS if t.case.name == name)
    return record(trial.case, trial.backend, trial.question)


@pytest.mark.parametrize("trial", TRIALS, ids=lambda t: f"{t.case.name} {t.backend} {t.id[:4]}")
@pytest.mark.parametrize("outcome", [BROKEN, Raised("forward", "RuntimeError", "CUDA error")])
def test_each_trial_has_a_script(trial: Trial, outcome: Measured | Raised):
    """Valid Python that names the report of the bug and imports nothing of attnprobe."""
    text = write(Record(trial, outcome))
    tree = ast.parse(text)
    assert all(source in text for source in known_bugs.load(trial.case.name).sources)
    imported = [n.module or "" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)]
    assert not [module for module in imported if module.startswith("attnprobe")]


def test_nan_that_the_numbers_allow_is_the_bug():
    """nn.MultiheadAttention with weights gives NaN for rows without keys: status 1; zeros give 0."""
    found = here("mha-weights-empty-rows")
    assert wrong(found)
    text = write(found)
    shown = executed(text)
    assert (shown["status"], "NaN in rows without keys" in shown["printed"]) == (1, True)
    mended = text.replace("return out.reshape", "out = out.nan_to_num(0.0)\n    return out.reshape")
    assert executed(mended)["status"] == 0


def test_an_answer_where_a_refusal_is_right():
    """Status 1 while the call with too few keys is answered; its refusal ends with 0."""
    bug = known_bugs.load("cpu-flash-overread")
    trial = next(t for t in TRIALS if t.case.name == "cpu-flash-overread")
    assert bug.suspects[0].id == trial.id
    text = write(Record(trial, Measured("", Parity("pass", "fused_tc"))))
    assert "os._exit(0 if kind is NotImplementedError else 125)" in text
    answering = text.replace("key[:, :, :-1]", "key")
    assert executed(answering)["status"] == 1
