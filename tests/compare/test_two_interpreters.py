"""Two real interpreters with real children on the CPU: the same twice, and one with a slower kernel."""

from __future__ import annotations

import sys
from json import load
from pathlib import Path

import pytest

from attnprobe import session
from attnprobe.cli import main
from attnprobe.cli.both import both
from attnprobe.compare import compare
from attnprobe.core.case import Case
from attnprobe.core.sampling import Sampling
from attnprobe.core.trial import Trial
from attnprobe.session.lines import Header

pytest.importorskip("torch")

KERNEL = """
import os, time
import torch

def same(query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None,
         enable_gqa=False):
    return torch.nn.functional.scaled_dot_product_attention(
        query, key, value, attn_mask, dropout_p, is_causal, scale=scale, enable_gqa=enable_gqa)

def slowed(*arguments, **options):
    until = time.perf_counter() + float(os.environ.get("SLOWED_S", 0))
    out = same(*arguments, **options)
    while time.perf_counter() < until:
        pass
    return out
"""
CASE = Case(1, 2, 2, 128, 128, 32, 32, dtype="float32", passes="fwd")


def python(path: Path, **variables: str) -> str:
    """This interpreter under another name, with variables of its own."""
    lines = [f"export {key}={value}" for key, value in variables.items()]
    path.write_text("\n".join(["#!/bin/sh", *lines, f'exec {sys.executable} "$@"', ""]))
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    ("pythons", "words"),
    [
        (("a", "b", "c"), "--python is given 3 times"),
        (("/nowhere/python", sys.executable), "/nowhere/python"),
        ((sys.executable, "/nowhere/python"), "/nowhere/python"),
    ],
)
def test_bad_interpreters_are_one_message(tmp_path, capsys, pythons, words):
    """Exit 2 before anything is measured, and the names of the sessions stay free."""
    given = [part for python in pythons for part in ("--python", python)]
    with pytest.raises(SystemExit) as left:
        main(["profile", "--device", "cpu", "--session", str(tmp_path / "s.jsonl"), *given])
    assert left.value.code == 2
    assert words in capsys.readouterr().err
    assert list(tmp_path.glob("*.jsonl")) == []


@pytest.mark.slow
def test_what_is_slower_is_found(tmp_path, monkeypatch):
    """One kernel is the same in both, the other takes two milliseconds in NEW; the files say so again.

    That the same is called different in 5% of runs at most is tested where no machine takes part.
    """
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    (tmp_path / "kernel.py").write_text(KERNEL)
    names = [f"{tmp_path}/kernel.py:{function}" for function in ("same", "slowed")]
    trials = [Trial(CASE, name, "time", Sampling(budget_s=0.1)) for name in names]

    def measure(of, file, within):
        of.machine()
        of.require(names)
        return of.time("timing", trials)

    pythons = python(tmp_path / "a"), python(tmp_path / "b", SLOWED_S="0.002")
    file, json = tmp_path / "s.jsonl", tmp_path / "c.json"
    header = Header("profile", "w")
    assert both(pythons, header, measure, "cpu", str(file), False, None, str(json)) == 1
    found = compare(*(session.load(tmp_path / f"s-{side}.jsonl") for side in ("old", "new")))
    speeds = {pair.new.trial.backend.rpartition(":")[2]: pair.speeds[0] for pair in found.pairs}
    assert all(speed.paired for speed in speeds.values())
    assert speeds["slowed"].verdict == "slower"
    assert speeds["slowed"].new_s >= 0.002
    assert speeds["same"].ratio.median == pytest.approx(1.0, rel=0.2)
    assert load(json.open())["summary"]["times"]["slower"] >= 1
