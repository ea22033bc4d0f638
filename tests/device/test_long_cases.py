"""A case too long to be compared whole is compared by some of its queries, and timed as it is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from attnprobe import masks
from attnprobe.core.case import Case, Lengths
from attnprobe.core.outcome import Measured
from attnprobe.core.parity import Parity
from attnprobe.core.trial import Trial
from attnprobe.device import answer as module
from attnprobe.device import reference, remembered
from attnprobe.device.answer import answer
from attnprobe.device.inputs import Inputs
from attnprobe.device.reference import choice

CASE = Case(1, 4, 2, 640, 640, 16, 16, dtype="float32", mask=masks.parse("causal(align=top-left)"))

USER = """
from torch.nn.functional import scaled_dot_product_attention as sdpa

def right(query, key, value, enable_gqa=False, **kwargs):
    return sdpa(query, key, value, enable_gqa=enable_gqa, **kwargs)

def wrong_tile(query, key, value, enable_gqa=False, **kwargs):
    out = right(query, key, value, enable_gqa, **kwargs).clone()
    out[:, :, 300:316] *= 1.01
    return out

def wrong_dv(query, key, value, enable_gqa=False, **kwargs):
    out = right(query, key, value, enable_gqa, **kwargs)
    spoilt = right(query.detach(), key.detach(), 0.01 * value, enable_gqa, **kwargs)
    return out + spoilt - spoilt.detach()
"""


@pytest.fixture(autouse=True)
def long(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Everything above a million pairs is long."""
    monkeypatch.setitem(choice.LONG, "cpu", 2**20)
    remembered.forget()
    yield
    remembered.forget()


def asked(tmp_path: Path, function: str, question: str = "check", case: Case = CASE) -> Measured:
    file = tmp_path / "kernel.py"
    file.write_text(USER)
    found = answer(Trial(case, f"{file}:{function}", question), lambda phase: None)
    assert isinstance(found, Measured)
    return found


def parity_of(found: Measured) -> Parity:
    assert found.parity is not None
    return found.parity


def test_a_right_one_passes_on_some_queries(tmp_path: Path):
    """The verdict says on how many, and every gradient is evidence."""
    chosen = reference.queries(CASE)
    assert chosen is not None
    assert len(chosen) < CASE.Mq / 2
    parity = parity_of(asked(tmp_path, "right"))
    assert (parity.verdict, parity.queries) == ("pass", len(chosen))
    assert {name for name, q in parity.quantities.items() if q.verdict == "pass"} >= {
        *("out", "dq", "dk", "dv")
    }


def test_a_short_case_is_compared_whole(tmp_path: Path):
    """Below the limit nothing changes."""
    case = CASE.edit(Mq=128, Mkv=128)
    assert remembered.judged(case) is remembered.inputs(case)
    assert parity_of(asked(tmp_path, "right", case=case)).queries is None


@pytest.mark.parametrize(("function", "of"), [("wrong_tile", "out"), ("wrong_dv", "dv")])
def test_a_wrong_one_is_caught(tmp_path: Path, function: str, of: str):
    """One tile in the middle that is 1% off, and a gradient that is."""
    parity = parity_of(asked(tmp_path, function))
    assert parity.verdict == "fail"
    assert of in {failure.of for failure in parity.failures}


def test_time_is_taken_with_the_whole_cotangent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Zeros would let a GPU run faster than it does: they draw less power."""
    timed: list[Inputs] = []

    def measure(prepared: object, inputs: Inputs, *rest: object, **options: object) -> None:
        timed.append(inputs)

    monkeypatch.setattr(module, "measure", measure)
    asked(tmp_path, "right", "time")
    assert bool((timed[0].dout != 0).any(-1).all())
    assert not bool((remembered.judged(CASE).dout != 0).any(-1).all())


@pytest.mark.parametrize("longest", [8192, 100_000, 131_072])
def test_queries_are_the_ends_and_lie_all_over_tiles(longest: int):
    """First and last tile, no long gap, and no tile offset that is left out, powers of two included."""
    chosen = choice.queries(CASE.edit(Mq=longest, Mkv=longest))
    assert chosen is not None
    assert bool((chosen[1:] > chosen[:-1]).all())
    assert chosen[: choice.ENDS].tolist() == list(range(choice.ENDS))
    assert int(chosen[-1]) == longest - 1
    between = chosen[choice.ENDS : -choice.ENDS]
    assert len(torch.unique(between % 64)) > 56
    assert int(chosen.diff().max()) < longest / 80


def test_short_sequences_of_a_long_batch_are_held_too(tmp_path: Path):
    """Each sequence is compared at the positions that it has."""
    case = CASE.edit(
        B=3, Mq=640, Mkv=640, Hkv=4, lengths=Lengths((640, 7, 300), (640, 7, 300), "packed")
    )
    chosen = reference.queries(case)
    assert chosen is not None
    held = sum(int((chosen < length).sum()) for length in (640, 7, 300))
    found = answer(Trial(case, "sdpa-math", "check"), lambda phase: None)
    assert isinstance(found, Measured)
    parity = parity_of(found)
    assert (parity.verdict, parity.queries) == ("pass", held)


def test_small_cases_are_compared_on_the_cpu_and_large_ones_where_they_ran():
    """A GPU that many processes share answers a verdict's hundred questions slowly."""
    small = CASE.edit(device="cuda", Mq=130, Mkv=130)
    wide = CASE.edit(device="cuda", B=4096, Mq=1, Mkv=1, K=64, Kv=64)
    assert choice.home(small) == "cpu"
    assert choice.home(CASE.edit(device="cuda")) == "cuda"
    assert choice.home(wide) == "cuda"
