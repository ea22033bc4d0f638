"""On a GPU scripts make the calls that backends make, with torch's kernels and other libraries'."""

from __future__ import annotations

import pytest
import torch

from attnprobe import masks
from attnprobe.core.case import Case, Lengths
from attnprobe.core.outcome import Measured
from attnprobe.core.score import Bias, Score
from attnprobe.device import backends, remembered
from attnprobe.device.subject import Subject
from tests.repro.scripts import executed, record, write

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device is visible to torch"),
]

PLAIN = Case(B=2, Hq=4, Hkv=4, Mq=128, Mkv=128, K=64, Kv=64, device="cuda", name="plain")
CASES = (
    PLAIN.edit(mask=masks.parse("causal", square=True), name="causal"),
    PLAIN.edit(Hkv=2, Mq=64, mask=masks.parse("causal(align=bottom-right)"), name="grouped"),
    PLAIN.edit(score=Score(bias=Bias(requires_grad=True)), name="bias"),
    PLAIN.edit(lengths=Lengths((100, 128), (100, 128), "packed"), name="packed"),
    PLAIN.edit(Hkv=2, layout="BMHK", passes="fwd", name="forward"),
)


@pytest.mark.parametrize("name", backends.names())
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_script_makes_the_same_call(case: Case, name: str) -> None:
    """The same output to the bit; gradients to rounding, where atomic additions have no order."""
    if name == "njt" and case.groups > 1:
        pytest.skip("torch's nested matmul raises for grouped heads: that is a fact, not a call")
    found = record(case, name)
    if not isinstance(found.outcome, Measured):
        pytest.skip(f"{name}: {found.outcome.kind}")
    script = executed(write(found))
    outputs = Subject(backends.load(name), remembered.inputs(case)).run()
    assert torch.equal(script["got"]["out"], outputs.out)
    for of, tensor in script["got"].items():
        ours = getattr(outputs, of).double()
        assert (tensor.double() - ours).norm() <= 0.01 * ours.norm(), of
