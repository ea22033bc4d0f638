"""Scripts see what one launch may hide, and blame no kernel for what every launch moves."""

from __future__ import annotations

from pathlib import Path

import pytest

from attnprobe import masks, minimise
from attnprobe.core.case import Case, Lengths
from attnprobe.core.outcome import Measured
from attnprobe.core.parity import Failure, Parity
from attnprobe.core.trial import Record, Trial
from attnprobe.device.answer import answer
from tests.repro.scripts import executed, run, write

CAUSAL = Case(2, 2, 2, 40, 40, 8, 8, dtype="float32", mask=masks.parse("causal(align=top-left)"))
PACKED = CAUSAL.edit(lengths=Lengths((20, 9), (20, 9), "packed", tail=3))
RIGHT = "from tests.mutation.right import Plain as attention\n"

EVERY_SECOND_ROW = """
from tests.mutation.base import Attention
class attention(Attention):
    def keep_mask(self, P, p):
        kept = super().keep_mask(P, p)
        even, odd = kept[:, :, :1], kept[:, :, 1:2]
        kept[:, :, ::2], kept[:, :, 1::2] = even.clone(), odd.clone()
        return kept
"""

LAST_BIT = """
import torch
from tests.mutation.{file} import {name}
class attention({name}):
    def write(self, name, tensor, dtype):
        up = torch.nextafter(tensor, torch.full_like(tensor, torch.inf))
        moved = name != "out" and dtype == torch.float32
        return torch.where(torch.rand_like(tensor) < 0.5, tensor, up) if moved else tensor.to(dtype)
"""

# An allocator that keeps freed blocks by size: zeros, unless the block held something before.
CACHED = """
import weakref
import torch
from tests.mutation.base import Attention

free, full = [], torch.full


def taken(size):
    return free.pop(free.index(size)) if size in free else None


def keeping(shape, value, **options):
    block = full(shape, value, **options)
    if value == 12345.0 and options["dtype"] == torch.float32:
        taken(block.numel())
        weakref.finalize(block, free.append, block.numel())
    return block


torch.full = keeping


class attention(Attention):
    def read(self, name, tensor):
        taken(tensor.numel())
        return tensor.float()

    def write(self, name, tensor, dtype):
        held = taken(tensor.numel())
        if name == "dk" and held:
            tensor[:, :, 29:] = 12345.0
        return tensor.to(dtype)
"""

EMPTY = """
import torch
from tests.mutation.base import Attention
class attention(Attention):
    def write(self, name, tensor, dtype):
        result = tensor.to(dtype).clone()
        if name == "dk" and torch.are_deterministic_algorithms_enabled():
            result[:, :, 29:] = torch.empty_like(result[:, :, 29:])
        return result
"""


def planted(tmp_path: Path, source: str) -> str:
    kernel = tmp_path / "kernel.py"
    kernel.write_text(source)
    return f"{kernel}:attention"


def ask(trial: Trial) -> Record:
    return Record(trial, answer(trial, lambda phase: None))


def script(tmp_path: Path, question: str, case: Case = CAUSAL) -> str:
    kind = "leak" if question == "check" else question
    failed = Measured("", Parity("fail", "fused_tc", failures=(Failure(kind, "seen"),)))
    return write(Record(Trial(case, f"{tmp_path}/kernel.py:attention", question), failed))


@pytest.mark.parametrize("p", [0.1, 0.02])
def test_a_mask_that_repeats_is_seen_in_the_smallest_case(p: float, tmp_path: Path):
    """Every second row drops the same keys: what the minimiser leaves exits 1, a right kernel 0."""
    case = CAUSAL.edit(B=1, Mq=24, Mkv=60, K=64, Kv=64, mask=masks.parse("none"), dropout_p=p)
    found = ask(Trial(case, planted(tmp_path, EVERY_SECOND_ROW), "dropout"))
    small = minimise.minimise(found, ask)
    assert isinstance(small, minimise.Minimised)
    assert small.record.trial.case.Mq * small.record.trial.case.Mkv < 24 * 60
    text = write(small.record)
    shown = executed(text)
    assert (shown["status"], "scatter" in shown["printed"]) == (1, True), shown["printed"]
    planted(tmp_path, RIGHT)
    for whole in (text, write(found)):
        shown = executed(whole)
        assert shown["status"] == 0, shown["printed"]


@pytest.mark.parametrize("source", [CACHED, EMPTY], ids=["litter", "NaN"])
def test_gradients_that_nobody_wrote(source: str, tmp_path: Path):
    """The tail of dk holds what memory held, or NaN: status 1; 0 once it is zero."""
    planted(tmp_path, source)
    file = tmp_path / "repro.py"
    file.write_text(script(tmp_path, "check", PACKED))
    ended = run(file)
    assert (ended.returncode, "WRONG  elements of dk" in ended.stdout) == (1, True), ended
    planted(tmp_path, RIGHT)
    ended = run(file)
    assert ended.returncode == 0, ended


@pytest.mark.parametrize("question", ["leak", "power-of-two", "unwritten"])
def test_a_last_bit_that_moves_is_no_bug(question: str, tmp_path: Path):
    """Gradients that differ from launch to launch, as atomic additions make them, exit 0."""
    planted(tmp_path, LAST_BIT.format(file="right", name="Plain"))
    shown = executed(script(tmp_path, question))
    assert shown["status"] == 0, shown["printed"]


@pytest.mark.parametrize(
    ("question", "file", "name"),
    [("leak", "masks", "SmallFiniteMask"), ("unwritten", "memory", "LastQueriesUnwritten")],
)
def test_a_bug_under_moving_bits_is_seen(question: str, file: str, name: str, tmp_path: Path):
    """What the repeats cannot explain exits 1."""
    source = LAST_BIT.replace("else tensor.to(dtype)", "else super().write(name, tensor, dtype)")
    planted(tmp_path, source.format(file=file, name=name))
    shown = executed(script(tmp_path, question, CAUSAL.edit(Mq=70, Mkv=70)))
    assert shown["status"] == 1, shown["printed"]
