"""On a GPU every backend that its library offers runs, is right, and is the kernel that it says."""

from __future__ import annotations

import pytest
import torch

from attnprobe import masks
from attnprobe.core.case import Case, Lengths
from attnprobe.core.outcome import Measured, Refused
from attnprobe.core.score import Bias, Score
from attnprobe.core.trial import Trial
from attnprobe.device import backends
from attnprobe.device.answer import answer, kernels_seen

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device is visible to torch"),
]

PLAIN = Case(B=2, Hq=4, Hkv=4, Mq=256, Mkv=256, K=64, Kv=64, device="cuda", name="plain")
CASES = (
    PLAIN,
    PLAIN.edit(mask=masks.parse("causal", square=True), name="causal"),
    PLAIN.edit(Hkv=2, Mq=128, mask=masks.parse("causal(align=bottom-right)"), name="grouped"),
    PLAIN.edit(score=Score(bias=Bias(requires_grad=True)), name="bias"),
    PLAIN.edit(lengths=Lengths((100, 256), (100, 256), "packed"), name="packed"),
    PLAIN.edit(layout="BMHK", passes="fwd", name="forward"),
)
MUST_RUN = ("eager", "sdpa-math", "sdpa-flash", "sdpa-mem-efficient", "sdpa-default", "flex-eager")


@pytest.mark.parametrize("name", backends.names())
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_runs_is_right(case: Case, name: str) -> None:
    """It passes with the kernel that was asked for, or refuses with reasons."""
    for dtype in ("bfloat16", "float32"):
        outcome = answer(Trial(case.edit(dtype=dtype), name), lambda phase: None)
        if isinstance(outcome, Refused):
            assert outcome.reasons
            continue
        assert isinstance(outcome, Measured)
        assert outcome.parity is not None
        assert not outcome.parity.failures, dtype
        powerless = outcome.parity.contract in ("unfused", "chunked")  # they allow more than 10%
        assert outcome.parity.verdict == "pass" or powerless, dtype
        assert not outcome.unexpected_kernel, dtype


@pytest.mark.parametrize("name", MUST_RUN)
def test_torchs_own_backends_run(name: str) -> None:
    """These need nothing but torch."""
    kernels_seen.clear()
    outcome = answer(Trial(PLAIN, name), lambda phase: None)
    assert isinstance(outcome, Measured)
    assert outcome.kernels
