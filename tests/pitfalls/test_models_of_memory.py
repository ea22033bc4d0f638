"""Models of memory, of skipped tiles and of kernels, held against counts and measurements."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from attnprobe import masks
from attnprobe.core.case import Case
from attnprobe.core.diagnosis import Needs, Subject
from attnprobe.core.environment import Environment
from attnprobe.core.score import Bias, Score
from attnprobe.diagnosis.situation import Situation
from attnprobe.pitfalls import _dispatch, _scores, _skipping, mask_requires_grad
from tests.unit.fake_machine import MACHINE, with_gpu, with_torch

CAUSAL = masks.parse("causal(align=top-left)")
AT_THE_END = masks.parse("causal(align=bottom-right)")
LEARNED = Score(bias=Bias(requires_grad=True))
CASE = Case(B=2, Hq=8, Hkv=8, Mq=2048, Mkv=2048, K=64, Kv=64, device="cuda")


def here(case: Case = CASE, machine: Environment = MACHINE, device: str = "cuda") -> Situation:
    """A call of sdpa-default."""
    subject = Subject(case, "sdpa-default")
    return Situation(subject, (subject,), device, machine)


@pytest.mark.parametrize(
    ("dtype", "fused", "unfused"),
    [("bfloat16", 24, 1052), ("bfloat16", 32, 1052), ("float32", 48, 1048)],
)
def test_peaks_of_an_h200_lie_in_the_model(dtype: str, fused: int, unfused: int) -> None:
    """MiB of torch 2.11's kernels at B2 H8 M2048 K64, forward and backward."""
    case = CASE.edit(dtype=dtype)
    low, high = _scores.fused(here(case), case)
    assert low <= fused * 2**20 <= high
    prediction = _scores.unfused(here(case), case)
    assert prediction.low <= unfused / fused <= prediction.high


@pytest.mark.parametrize(
    ("dtype", "without", "peak"), [("bfloat16", 28, 156), ("float32", 48, 304)]
)
def test_a_bias_gradient_of_an_h200_lies_in_the_model(dtype: str, without: int, peak: int) -> None:
    """The same machine and shape, a bias of all dimensions."""
    bias = Bias(B=True, requires_grad=True)
    prediction = mask_requires_grad.predict(here(CASE.edit(dtype=dtype, score=Score(bias=bias))))
    assert prediction.low <= peak / without <= prediction.high


def test_a_broadcast_bias_pays_for_the_sum_as_well() -> None:
    """56.4 MiB against 10.1 MiB were measured at B2 H4 M1024 in float32."""
    case = CASE.edit(Hq=4, Hkv=4, Mq=1024, Mkv=1024, dtype="float32")
    found = mask_requires_grad.predict(here(case.edit(score=LEARNED)))
    assert found.low <= 56.4 / 10.1 <= found.high


@pytest.mark.parametrize(("backend", "device"), [("sdpa-cudnn", "cuda"), ("sdpa-flash", "cpu")])
def test_a_kernel_without_that_gradient_refuses(backend: str, device: str) -> None:
    """Selected by hand, it has nothing to fall back to."""
    subject = Subject(CASE.edit(score=LEARNED, device=device), backend)
    found = mask_requires_grad.predict(Situation(subject, (subject,), device, MACHINE))
    assert found.quantity == "refused"


def test_whoever_needs_the_gradient_is_not_told_to_detach() -> None:
    """The control shows the price; the fix keeps the gradient."""
    subject = Subject(CASE.edit(score=LEARNED), "sdpa-default", needs=Needs(bias_grad=True))
    situation = Situation(subject, (subject,), "cuda", MACHINE)
    assert mask_requires_grad.experiment(situation).fix == situation.arm("flex")
    assert "detach" not in mask_requires_grad.fix(situation)


def test_a_learned_bias_on_a_cpu_has_no_better_way() -> None:
    """The math kernel is all there is: nothing to advise, nothing to suspect."""
    subject = Subject(CASE.edit(score=LEARNED, device="cpu"), "sdpa-default")
    for needed in (False, True):
        asked = replace(subject, needs=Needs(bias_grad=needed))
        said = mask_requires_grad.suspect(Situation(asked, (asked,), "cpu", MACHINE))
        assert (said is None) is needed


def test_memory_on_a_cpu_allows_for_its_threads() -> None:
    """Each has tiles of its own, so that less can be promised of more threads."""
    few, many = (here(machine=with_torch(threads=n), device="cpu") for n in (1, 64))
    assert _scores.unfused(many, CASE).low < _scores.unfused(few, CASE).low


@pytest.mark.parametrize("mask", ["causal(align=top-left)", "sliding-window(left=200, right=0)"])
def test_no_more_is_skipped_than_tiles_allow(mask: str) -> None:
    """Tiles of 128 x 128 that hold an attended pair, counted one by one."""
    M, tile = 1024, _skipping.TILE[True]
    case = CASE.edit(Mq=M, Mkv=M, mask=masks.parse(mask, square=True))
    touched = sum(
        any(case.mask.allows(i, j, M, M) for i in (q, q + tile - 1) for j in (k, k + tile - 1))
        for q in range(0, M, tile)
        for k in range(0, M, tile)
    )
    assert 1 < _skipping.share(case, True) <= (M / tile) ** 2 / touched


@pytest.mark.parametrize(
    ("change", "is_tensor"),
    [
        ({}, False),
        ({"mask": CAUSAL}, False),
        ({"mask": CAUSAL, "mask_form": "dense-bool"}, True),
        ({"mask": AT_THE_END, "Mq": 128}, True),
        ({"mask": AT_THE_END, "Mq": 1}, False),
        ({"score": Score(alibi=True)}, True),
    ],
)
def test_what_is_a_mask_tensor(change: dict[str, Any], is_tensor: bool) -> None:
    """Everything that neither the flag nor silence says."""
    assert _dispatch.has_mask_tensor(CASE.edit(**change)) is is_tensor


def test_torch_s_own_order_counts_more_than_the_gpu() -> None:
    """Hopper prefers cuDNN, unless it was told otherwise; Ampere does not."""
    flash_first = with_torch(sdpa_priority=("flash_attention", "cudnn_attention"))
    assert _dispatch.cudnn_first(here())
    assert not _dispatch.cudnn_first(here(machine=flash_first))
    assert not _dispatch.cudnn_first(here(machine=with_gpu(capability=(8, 0))))


@pytest.mark.parametrize(
    "change", [{"dtype": "float32"}, {"K": 256, "Kv": 256}, {"K": 60, "Kv": 60}, {"Mkv": 1}]
)
def test_what_cudnn_does_not_take(change: dict[str, Any]) -> None:
    """Its limits, one by one, around a call that it takes."""
    assert _dispatch.cudnn_runs(here())
    assert not _dispatch.cudnn_runs(here(CASE.edit(**change)))
