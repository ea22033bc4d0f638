"""A log-sum-exp alone may be wrong: its script calls what hands it out, and compares that."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from attnprobe import masks
from attnprobe.core.case import Case, Lengths
from attnprobe.core.outcome import Measured
from attnprobe.core.parity import Parity
from attnprobe.core.score import Bias, Score
from attnprobe.core.trial import Record, Trial
from attnprobe.device import backends, remembered
from attnprobe.device.numerics.conventions import judge_under
from attnprobe.device.subject import Declined, Subject
from attnprobe.errors import UsageError
from tests.repro.scripts import executed, record, write

PLAIN = Case(2, 4, 4, 33, 33, 16, 16, dtype="float32", passes="fwd")
CASES = [
    PLAIN,
    PLAIN.edit(mask=masks.parse("causal(align=top-left)"), dtype="bfloat16"),
    PLAIN.edit(mask=masks.parse("causal(align=bottom-right)"), Mkv=20),
    PLAIN.edit(mask=masks.parse("arbitrary(seed=1, percent=50)"), passes="fwd+bwd"),
    PLAIN.edit(score=Score(bias=Bias(H=False), scale=0.3)),
    PLAIN.edit(lengths=Lengths((33, 20), (9, 33))),
    PLAIN.edit(Hkv=2),
]


@pytest.mark.parametrize("backend", ["eager", "sdpa-flash", "flex-eager"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.label)
def test_it_is_shown_until_it_is_right(case: Case, backend: str):
    """Status 1 for a log-sum-exp that is 1% off, 0 for the library's own."""
    subject = Subject(backends.load(backend), remembered.inputs(case))
    try:
        outputs = subject.run()
    except Declined as declined:
        pytest.skip(str(declined))
    if outputs.lse is None:
        pytest.skip("it gives none here")
    off = replace(outputs, lse=outputs.lse * 1.01)
    truth, zero = remembered.truth(case), subject.backend.empty_rows
    parity = judge_under(zero, off, subject.inputs, truth, subject.contract)
    assert {f.of for f in parity.failures} == {"lse"}
    text = write(Record(Trial(case, backend), Measured("", parity)))
    right = executed(text)
    assert right["status"] == 0, right["printed"]
    given = right["attention_with_lse"](**right["given"])[1].float()
    both = ~(given.isneginf() & outputs.lse.isneginf())
    assert torch.equal(given[both], outputs.lse[both]), "another log-sum-exp than attnprobe saw"
    wrong = executed(
        text.replace("attention_with_lse(**given)[1]", "1.01 * attention_with_lse(**given)[1]")
    )
    assert (wrong["status"], "lse[" in wrong["printed"].partition("WRONG")[2]) == (1, True)


def test_a_library_that_keeps_it_to_itself():
    """There is no script where the call returns the output alone."""
    subject = Subject(backends.load("eager"), remembered.inputs(PLAIN))
    outputs, truth = subject.run(), remembered.truth(PLAIN)
    off = replace(outputs, lse=outputs.lse * 1.01)
    parity = judge_under("zero", off, subject.inputs, truth, subject.contract)
    with pytest.raises(UsageError, match="log-sum-exp"):
        write(Record(Trial(PLAIN, "sdpa-math"), Measured("", parity)))


KERNEL = """
import torch

def attend(query, key, value, return_lse=False):
    scores = query @ key.mT * query.shape[-1] ** -0.5
    out = scores.softmax(-1) @ value
    return (out, FACTOR * scores.logsumexp(-1)) if return_lse else out
"""


@pytest.mark.parametrize(("factor", "status"), [("1.4426950408889634", 1), ("1.0", 0)])
def test_a_callable_is_asked_for_it(tmp_path: Path, factor: str, status: int):
    """The script calls it with `return_lse=True`, as the check did."""
    file = tmp_path / "kernel.py"
    file.write_text(KERNEL.replace("FACTOR", "1.4426950408889634"))
    backend = f"{file}:attend"
    found = record(PLAIN, backend)
    assert {f.of for f in parity_of(found).failures} == {"lse"}
    text = write(found)
    file.write_text(KERNEL.replace("FACTOR", factor))
    assert executed(text)["status"] == status


def parity_of(found: Record) -> Parity:
    """Of a measured trial."""
    assert isinstance(found.outcome, Measured)
    assert found.outcome.parity is not None
    return found.outcome.parity
