"""A log-sum-exp that cannot be merged by is found, and its fault is named."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from attnprobe import masks
from attnprobe.core.backend_fact import Claim
from attnprobe.core.case import Case
from attnprobe.core.parity import Failure
from attnprobe.device import backends, laboratory
from attnprobe.device.backends.base import Backend, Prepared
from attnprobe.device.inputs import Inputs, make
from attnprobe.device.laboratory import Skipped, ring
from attnprobe.device.layouts import BHMK
from attnprobe.device.lowering import sdpa
from attnprobe.device.lowering.base import Refusal
from attnprobe.device.subject import Subject

Change = Callable[[Tensor], Tensor]

CASE = Case(B=2, Hq=4, Hkv=4, Mq=70, Mkv=70, K=16, Kv=16, dtype="float32")
TALL = CASE.edit(Mq=90, mask=masks.parse("causal(align=bottom-right)"))
"""Twenty queries without any key."""
CAUSAL = CASE.edit(mask=masks.parse("causal", square=True))


class Merging(Backend):
    """Plain attention that returns its log-sum-exp after a change; likewise its output."""

    name = "merging"

    def __init__(self, lse: Change = lambda t: t, out: Change = lambda t: t) -> None:
        self.change_lse, self.change_out = lse, out

    def claim(self) -> Claim:
        return Claim(True)

    def contract(self, case: Case) -> str:
        return "fused"

    def prepare(self, inputs: Inputs) -> Prepared | Refusal:
        case = inputs.case
        lowered = sdpa.lower(inputs)
        assert not isinstance(lowered, Refusal)
        i, j = torch.arange(case.Mq)[:, None], torch.arange(case.Mkv)
        keep = case.mask.allows(i, j, case.Mq, case.Mkv)
        scores = inputs.q.float() @ inputs.k.float().transpose(2, 3) * case.scale
        scores = scores.masked_fill(~keep, -math.inf)
        lse = scores.logsumexp(-1)
        weights = scores.softmax(-1).nan_to_num(0.0)
        out = self.change_out((weights @ inputs.v.float()).to(inputs.v.dtype))
        return Prepared(lambda: out, {"q": inputs.q}, BHMK(), "plain", lambda: self.change_lse(lse))


def examined(backend: Backend, case: Case) -> tuple[Failure, ...] | Skipped:
    return laboratory.load("ring")(Subject(backend, make(case)))


def one(backend: Backend, case: Case = CAUSAL) -> Failure:
    found = examined(backend, case)
    assert isinstance(found, tuple)
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize("case", [CASE, CAUSAL, TALL, CASE.edit(Mq=33, Mkv=91)])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_right_kernel_can_be_merged(case: Case, dtype: str) -> None:
    """Full and causal, at lengths that are no multiple of the chunks."""
    assert examined(Merging(), case.edit(dtype=dtype)) == ()


@pytest.mark.parametrize("family", ["large-logits", "very-negative-lse", "cancelling", "one-hot"])
def test_a_right_kernel_can_be_merged_whatever_its_inputs(family: str) -> None:
    """Weights from all alike to one alone."""
    assert examined(Merging(), CAUSAL.edit(dtype="float16", family=family)) == ()


@pytest.mark.parametrize("seed", range(3))
def test_the_flash_kernel_of_this_cpu_is_accurate_enough(seed: int) -> None:
    """In bfloat16 and with grouped heads."""
    case = CAUSAL.edit(dtype="bfloat16", seed=seed, Hkv=2)
    assert examined(backends.load("sdpa-flash"), case) == ()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_flash_kernel_of_this_cpu_has_0_for_rows_without_keys(dtype: str) -> None:
    """Seen with torch 2.13; SDPA does not show it. Among many keys too."""
    case = TALL.edit(Mq=300, Mkv=200, dtype=dtype)
    assert one(backends.load("sdpa-flash"), case).kind == "lse_empty"


def test_base_two_is_named() -> None:
    """As FlashInfer returns it."""
    found = one(Merging(lse=lambda t: t / math.log(2.0)))
    assert found.kind == "lse_base"
    assert "base 2" in found.hypothesis


def test_rows_without_keys_are_not_blamed_for_the_base() -> None:
    """They have -inf and 0: it is the other rows that cannot be merged."""
    assert one(Merging(lse=lambda t: t / math.log(2.0)), TALL).kind == "lse_base"


def test_heads_last_is_named() -> None:
    """Memory of (B, Mq, Hq) read as (B, Hq, Mq)."""
    found = one(Merging(lse=lambda t: t.transpose(1, 2).reshape(t.shape)))
    assert found.kind == "lse_layout"


def test_a_padded_log_sum_exp_is_named() -> None:
    """As kernels return it that round Mq up."""
    found = one(Merging(lse=lambda t: torch.nn.functional.pad(t, (0, 15))))
    assert found.kind == "lse_layout"
    assert "32" in found.message


@pytest.mark.parametrize("error", [1e-3, 1e-4])
def test_a_coarse_log_sum_exp_is_inaccurate(error: float) -> None:
    """Errors of single rows do not cancel; the outputs are not blamed."""
    found = one(Merging(lse=lambda t: t + error * torch.sin(1e3 * t)))
    assert found.kind == "accuracy"
    assert "outputs are right" in found.hypothesis


def test_a_wrong_output_is_not_the_fault_of_the_log_sum_exp() -> None:
    """Then nothing is blamed on it."""
    found = one(Merging(out=lambda t: t * 1.001))
    assert (found.kind, found.hypothesis) == ("accuracy", "")


def test_a_common_shift_cancels() -> None:
    """Nobody who merges by it can see it."""
    assert examined(Merging(lse=lambda t: t + 3.0), CAUSAL) == ()


@pytest.mark.parametrize("value", [0.0, math.inf, math.nan])
def test_weight_for_rows_without_keys_is_found(value: float) -> None:
    """0 weighs e^0, and infinity makes NaN of everything."""
    found = one(Merging(lse=lambda t: torch.where(t.isneginf(), value, t)), TALL)
    assert found.kind == "lse_empty"
    assert f"{value:g}" in found.message


def test_a_very_negative_number_serves_as_minus_infinity() -> None:
    """Its weight is 0 too."""
    assert examined(Merging(lse=lambda t: t.clamp(min=-1e30)), TALL) == ()


def test_without_a_log_sum_exp_nothing_is_said() -> None:
    """And why."""
    found = examined(backends.load("sdpa-math"), CASE)
    assert isinstance(found, Skipped)
    assert "log-sum-exp" in found.reason


@pytest.mark.parametrize(
    "case",
    [
        CASE.edit(dropout_p=0.1),
        CASE.edit(Mq=4, Mkv=4),
        CASE.edit(mask=masks.parse("sliding-window(left=3, right=0)", square=True)),
        CAUSAL.edit(Mkv=90),
    ],
)
def test_cases_without_a_ring_are_skipped(case: Case) -> None:
    """Before anything is run."""
    assert isinstance(examined(Merging(), case), Skipped)


def test_the_bound_is_reached_by_errors_that_it_allows() -> None:
    """Parts whose errors are as large as allowed, all against the weights: close to 1, not above."""
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    truths, lses = [draw(1, 1, 50, 1), draw(1, 1, 50, 1)], [draw(1, 1, 50), draw(1, 1, 50)]
    sign = (truths[0] - truths[1]).sign()
    for size in (1e-6, 1e-2):
        bound = torch.full((1, 1, 50), size, dtype=torch.float64)
        parts = [
            ring.Part(
                out=truth + size * sign,
                lse=lse + way * size * sign[..., 0],
                truth=truth,
                lse_truth=lse,
                out_bound=bound[..., None],
                lse_bound=bound,
            )
            for truth, lse, way in zip(truths, lses, (1.0, -1.0), strict=True)
        ]
        excess = ring._merge(parts, [part.lse for part in parts]).excess
        assert 0.9 < excess <= 1.0
