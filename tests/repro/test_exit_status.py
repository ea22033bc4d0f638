"""Scripts end with 1 while the bug is there, with 0 once a right implementation stands in its place."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from attnprobe import masks, minimise
from attnprobe.core.case import Case
from attnprobe.core.outcome import Raised, Refused
from attnprobe.core.score import Bias, Score
from attnprobe.core.trial import Record, Trial
from attnprobe.device.answer import answer
from attnprobe.worker.guard import Phases, guarded
from tests.repro.scripts import executed, run, write

CAUSAL = Case(
    2, 4, 2, 37, 37, 8, 8, dtype="float32", mask=masks.parse("causal(align=top-left)"), name="c"
)
DENSE = CAUSAL.edit(mask=masks.parse("arbitrary(seed=1, percent=50)"))
BIASED = CAUSAL.edit(score=Score(bias=Bias(requires_grad=True)), Hkv=4)
WIDE = CAUSAL.edit(Mkv=130, Mq=70)
EMPTY = CAUSAL.edit(mask=masks.parse("causal(align=bottom-right)"), Mkv=20)

WRONG = [
    ("masks", "CausalOneAhead", CAUSAL, "check"),
    ("masks", "MaskInverted", DENSE, "check"),
    ("masks", "EmptyRowsAreNaN", EMPTY, "check"),
    ("masks", "FiniteMask", EMPTY, "check"),
    ("scores", "HeadsRepeated", CAUSAL, "check"),
    ("scores", "ScaleOnePercentOff", CAUSAL, "check"),
    ("precision", "NoMaximum", CAUSAL.edit(family="large-logits"), "check"),
    ("precision", "ProbabilitiesInBfloat16", CAUSAL, "check"),
    ("precision", "OutputGain", CAUSAL.edit(dtype="bfloat16"), "check"),
    ("gradients", "DvGain", CAUSAL, "check"),
    ("gradients", "DqTailIsZero", WIDE, "check"),
    ("gradients", "DbiasMissing", BIASED, "check"),
    ("gradients", "DbiasScaled", BIASED, "check"),
    ("memory", "SecondBatchWrong", CAUSAL, "check"),
    ("memory", "ScalesQueryInPlace", CAUSAL, "check"),
    ("memory", "LastDimStrideBlind", CAUSAL.edit(layout="strided"), "check"),
    ("masks", "SmallFiniteMask", CAUSAL, "leak"),
    ("masks", "CausalByTile", CAUSAL, "leak"),
]


def ask(trial: Trial) -> Record:
    """In this process: fast, and none of these classes ruins it."""
    phases = Phases(lambda phase: None)
    return Record(trial, guarded(lambda: answer(trial, phases.announce), phases))


def planted(tmp_path: Path, source: str) -> Path:
    file = tmp_path / "kernel.py"
    file.write_text(source)
    return file


@pytest.mark.parametrize(
    ("file", "name", "case", "question"), WRONG, ids=lambda v: v if isinstance(v, str) else ""
)
def test_a_bug_is_shown_until_it_is_mended(
    file: str, name: str, case: Case, question: str, tmp_path: Path
):
    """The shrunk script exits 1 with the wrong class, 0 with the right one, and is small."""
    kernel = planted(tmp_path, f"from tests.mutation.{file} import {name} as attention\n")
    found = ask(Trial(case, f"{kernel}:attention", question))
    assert minimise.symptom(found).startswith("wrong")
    small = minimise.minimise(found, ask)
    assert isinstance(small, minimise.Minimised)
    text = write(small.record)
    assert "import attnprobe" not in text
    assert "from attnprobe" not in text
    assert len(text.splitlines()) <= 130
    shown = executed(text)
    assert shown["status"] == 1, shown["printed"]
    planted(tmp_path, "from tests.mutation.right import Plain as attention\n")
    assert executed(text)["status"] == 0, text


@pytest.mark.slow
def test_the_script_needs_torch_alone(tmp_path: Path):
    """In a process where attnprobe cannot be imported: 1 while wrong, 0 once right."""
    kernel = planted(tmp_path, "from tests.mutation.gradients import DvGain as attention\n")
    script = tmp_path / "repro.py"
    script.write_text(write(ask(Trial(CAUSAL, f"{kernel}:attention"))))
    ended = run(script)
    assert (ended.returncode, "WRONG" in ended.stdout) == (1, True), ended.stderr
    planted(tmp_path, "from tests.mutation.right import Plain as attention\n")
    ended = run(script)
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("raise ValueError('no such tile')", Raised),
        ("raise NotImplementedError('not on this machine')", Refused),
    ],
)
def test_an_exception_is_raised_until_it_is_not(body: str, kind: type, tmp_path: Path):
    """The script lets the library's own exception through, and exits 0 once the call returns."""
    kernel = planted(tmp_path, f"def attention(query, key, value, **options):\n    {body}\n")
    found = ask(Trial(CAUSAL.edit(Hkv=4), f"{kernel}:attention"))
    assert isinstance(found.outcome, kind)
    text = write(found)
    with pytest.raises((ValueError, NotImplementedError), match=r"no such tile|not on this"):
        executed(text)
    planted(tmp_path, "from torch.nn.functional import scaled_dot_product_attention as attention\n")
    assert executed(text)["status"] == 0


def ended(text: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """How a script ends in a process of its own."""
    script = folder / "repro.py"
    script.write_text(text)
    return subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, check=False
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("body", "limit_s", "says", "shown"),
    [
        ("os.abort()", 60.0, "kills the process with SIGABRT", "makes the call: -6"),
        ("time.sleep(1000)", 3.0, "hangs", "none within"),
    ],
    ids=["abort", "hang"],
)
def test_a_call_that_takes_its_process_along(
    body: str, limit_s: float, says: str, shown: str, tmp_path: Path
):
    """A child dies or hangs of it: status 1, and 0 once the call returns."""
    from attnprobe.worker.host import Worker

    source = f"import os, time\n\n\ndef attention(query, key, value, **options):\n    {body}\n"
    kernel = planted(tmp_path, source)
    with Worker() as worker:
        found = worker.trial(Trial(CAUSAL.edit(Hkv=4), f"{kernel}:attention"), limit_s)
    text = write(found).replace("timeout=33.0", "timeout=15.0")
    assert says in " ".join(text.split())
    there = ended(text, tmp_path)
    assert (there.returncode, shown in there.stdout) == (1, True), there.stdout + there.stderr
    planted(tmp_path, "from torch.nn.functional import scaled_dot_product_attention as attention\n")
    gone = ended(text, tmp_path)
    assert gone.returncode == 0, gone.stdout + gone.stderr


@pytest.mark.slow
def test_an_exception_has_its_own_status(tmp_path: Path):
    """The exception that was seen is 1; another one, and any where numbers were asked for, 125."""
    kernel = planted(tmp_path, RAISING)
    raised = write(ask(Trial(CAUSAL.edit(Hkv=4), f"{kernel}:attention")))
    assert ended(raised, tmp_path).returncode == 1
    planted(tmp_path, "from tests.mutation.masks import CausalOneAhead as attention\n")
    numbers = write(ask(Trial(CAUSAL.edit(Hkv=4), f"{kernel}:attention")))
    planted(tmp_path, RAISING.replace("ValueError", "KeyError"))
    assert ended(raised, tmp_path).returncode == 125
    assert ended(numbers, tmp_path).returncode == 125


RAISING = "def attention(query, key, value, **options):\n    raise ValueError('no such tile')\n"
