"""A ring as a script: it merges what the library gives, and is wrong where attnprobe's ring is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from attnprobe import masks, repro
from attnprobe.core.backend_fact import Claim
from attnprobe.core.case import Case
from attnprobe.core.outcome import Measured, Raised
from attnprobe.core.parity import Failure, Parity
from attnprobe.core.trial import Record, Trial
from attnprobe.device import backends, laboratory
from attnprobe.device.backends.base import Backend, Prepared
from attnprobe.device.inputs import Inputs, make
from attnprobe.device.laboratory import ring
from attnprobe.device.lowering.base import Refusal
from attnprobe.device.subject import Subject
from attnprobe.errors import UsageError
from tests.repro.scripts import executed, write

CASE = Case(B=2, Hq=4, Hkv=4, Mq=70, Mkv=70, K=16, Kv=16, dtype="float32", passes="fwd")
CAUSAL = CASE.edit(mask=masks.parse("causal", square=True))
TALL = CASE.edit(Mq=90, mask=masks.parse("causal(align=bottom-right)"))

BASE_2 = "(lse / 0.6931471805599453)"
SHIFTED = "torch.where(lse.isneginf(), 0.0, lse)"
COARSE = "(lse + 1e-3 * torch.sin(1e3 * lse))"
HEADS_LAST = "lse.transpose(1, 2).reshape(lse.shape)"
PADDED = "torch.nn.functional.pad(lse, (0, 15))"


class Changed(Backend):
    """A backend of this package whose log-sum-exp is changed."""

    def __init__(self, name: str, change: Callable[[Tensor], Tensor]) -> None:
        self.of, self.change = backends.load(name), change
        self.empty_rows = self.of.empty_rows

    def claim(self) -> Claim:
        return Claim(True)

    def contract(self, case: Case) -> str:
        return self.of.contract(case)

    def prepare(self, inputs: Inputs) -> Prepared | Refusal:
        prepared = self.of.prepare(inputs)
        assert isinstance(prepared, Prepared)
        lse = prepared.lse
        assert lse is not None
        return replace(prepared, lse=lambda: self.change(lse()))


@pytest.mark.parametrize("backend", ["sdpa-flash", "flex-eager"])
@pytest.mark.parametrize(
    ("case", "change", "kind"),
    [
        (CASE, BASE_2, "lse_base"),
        (CAUSAL.edit(Hkv=2), BASE_2, "lse_base"),
        (CAUSAL, COARSE, "accuracy"),
        (CASE.edit(Mkv=130), HEADS_LAST, "lse_layout"),
        (CAUSAL, PADDED, "lse_layout"),
        (TALL, SHIFTED, "lse_empty"),
    ],
    ids=["full", "causal grouped", "coarse", "heads last", "padded", "empty rows"],
)
def test_a_wrong_log_sum_exp_is_shown(case: Case, change: str, kind: str, backend: str):
    """Status 1 with the change that attnprobe saw, 0 with the library's own log-sum-exp."""
    if kind == "lse_empty" and backend != "flex-eager":
        pytest.skip("rows without keys are wrong in it as it is")
    changed = Changed(backend, lambda lse: eval(change, {"torch": torch, "lse": lse}))
    found = laboratory.load("ring")(Subject(changed, make(case)))
    assert isinstance(found, tuple)
    assert [failure.kind for failure in found] == [kind]
    record = Record(Trial(case, backend, "ring"), Measured("", Parity("fail", "", failures=found)))
    text = write(record)
    right = executed(text)
    assert right["status"] == 0, right["printed"]
    line = "    seen.append(attend(*chunk))"
    broken = f"    out, lse = attend(*chunk)\n    seen.append((out, {change}))"
    assert line in text
    wrong = executed(text.replace(line, broken))
    assert wrong["status"] == 1, wrong["printed"]


@pytest.mark.parametrize("backend", ["eager", "sdpa-flash", "flex-eager"])
def test_a_script_says_what_the_ring_says(backend: str):
    """Rows without keys in libraries as they are: status 1 where attnprobe has something against it."""
    found = laboratory.load("ring")(Subject(backends.load(backend), make(TALL)))
    assert isinstance(found, tuple)
    if not found:
        assert backend == "flex-eager"
        return
    record = Record(Trial(TALL, backend, "ring"), Measured("", Parity("fail", "", failures=found)))
    assert executed(write(record))["status"] == 1


def test_the_chunks_are_the_laboratorys():
    """What the host cannot import from the device half is the same there."""
    assert (repro.ring.CHUNKS, repro.ring.FEW) == (ring.CHUNKS, ring.FEW)
    assert (repro.ring.CAUSAL, repro.ring.LATE) == (ring.CAUSAL, ring.LATE)


def test_an_exception_in_a_ring_runs_the_calls():
    """A trial that raised is written down without a place, and ends with 0 where nothing raises."""
    record = Record(Trial(CAUSAL, "sdpa-flash", "ring"), Raised("ring", "RuntimeError", "no"))
    assert executed(write(record))["status"] == 0


def test_a_library_without_it_has_no_script():
    """The merge cannot be shown where the call returns the output alone."""
    parity = Parity("fail", "", failures=(Failure("lse_layout", "the log-sum-exp is of shape 3"),))
    with pytest.raises(UsageError, match="keeps its log-sum-exp"):
        write(Record(Trial(CASE, "sdpa-math", "ring"), Measured("", parity)))
