"""The models behind predictions, on calls that can be counted by hand."""

from __future__ import annotations

from typing import Any

import pytest

from attnprobe import masks, pitfalls
from attnprobe.core.case import Case, Lengths
from attnprobe.core.diagnosis import Experiment, Subject
from attnprobe.diagnosis.situation import Situation
from attnprobe.pitfalls import _dispatch, _grid
from tests.unit.fake_machine import MACHINE, machine

CAUSAL = masks.parse("causal(align=top-left)")


def here(backend: str = "sdpa-default", habits: tuple[str, ...] = (), **changes: Any) -> Situation:
    """A call on the made-up H200: 132 SMs."""
    case = Case(1, 1, 1, 4096, 4096, 128, 128, device="cuda").edit(**changes)
    subject = Subject(case, backend, habits)
    return Situation(subject, (subject,), "cuda", MACHINE)


def heads(n: int) -> dict[str, int]:
    return {"Hq": n, "Hkv": n}


@pytest.mark.parametrize(
    ("backend", "dtype", "expected"),
    [
        ("sdpa-cudnn", "bfloat16", 32),
        ("sdpa-mem-efficient", "bfloat16", 64),
        ("flex", "float32", 64),
    ],
)
def test_blocks_are_tiles_of_queries(backend: str, dtype: str, expected: int) -> None:
    """4096 queries are 32 tiles of 128, or 64 of 64."""
    assert _grid.blocks(here(backend, dtype=dtype)) == expected


def test_sequences_that_are_no_multiple_of_a_tile_begin_one_each() -> None:
    """Lengths of 1, 128 and 129 are one, one and two tiles, for each of two heads."""
    lengths = Lengths((1, 128, 129), (1, 128, 129), "packed")
    assert _grid.blocks(here(B=3, Mq=129, Mkv=129, lengths=lengths, **heads(2))) == 8


def test_few_blocks_are_expected_to_cost_what_a_schedule_says() -> None:
    """32 blocks are one round of 132 SMs, sixteen times as many four, or two with two on an SM."""
    assert _grid.starvation(here(), 16) == pytest.approx((16 / 4, 16 / 2))
    expected = pitfalls.load("low-bh-parallelism").predict(here())
    assert (expected.low, expected.high) == pytest.approx((0.95 * 4, 8))


def test_the_long_blocks_of_a_causal_mask_end_late() -> None:
    """As measured on an H200: 1.07 times without a mask, 1.48 times with it, in float32."""
    call = {"B": 2, "Mq": 2048, "Mkv": 2048, "K": 64, "Kv": 64, "dtype": "float32", **heads(8)}
    low, high = _grid.starvation(here("xformers-cutlass", mask=CAUSAL, **call), 8)
    assert low < 1.48 < high
    assert low > 1.2
    assert _grid.starvation(here("xformers-cutlass", **call), 8)[0] == pytest.approx(1, abs=0.01)


def test_a_mask_that_is_a_tensor_leaves_no_key_out() -> None:
    """No kernel knows what it says."""
    call = {"B": 2, "Mq": 2048, "Mkv": 2048, "mask": CAUSAL, **heads(8)}
    dense = here("sdpa-mem-efficient", mask_form="dense-float", **call)
    assert _grid.starvation(dense, 8)[0] < 1.05 < _grid.starvation(here(**call), 8)[0]


def test_a_large_grid_is_not_scheduled_at_all() -> None:
    """131,072 queries of 32 heads would be 32,768 blocks to count for every suspicion."""
    assert _grid.starvation(here(Mq=131072, Mkv=131072, **heads(32)), 2) == (1, 1)


@pytest.mark.parametrize("n", [4, 32])
def test_a_full_grid_is_not_suspected(n: int) -> None:
    """128 blocks of 132 SMs are as good as it gets, and so are many waves."""
    assert pitfalls.load("low-bh-parallelism").suspect(here(**heads(n))) is None


def test_the_advice_of_a_hundred_heads_is_tried_where_it_was_given() -> None:
    """XFormers' users were told; the same call through SDPA has no such folklore."""
    rule = pitfalls.load("low-bh-parallelism")
    call = {"B": 2, "Mq": 2048, "Mkv": 2048, **heads(8)}
    assert "100 are advised" in (rule.suspect(here("xformers-default", **call)) or "")
    assert rule.suspect(here(**call)) is None


def test_splitting_is_missed_where_blocks_are_few() -> None:
    """8 blocks for 132 SMs: 16.5, between a lone SM's 4.6 times its share and 0.4 of it."""
    rule = pitfalls.load("decode-low-parallelism")
    decode = {"Mq": 1, "Mkv": 65536, "passes": "fwd"}
    few = here("sdpa-mem-efficient", **decode, **heads(8))
    assert rule.suspect(few)
    assert (rule.predict(few).low, rule.predict(few).high) == pytest.approx(
        (16.5 / 4.6, 16.5 / 0.4)
    )
    assert rule.suspect(here("sdpa-mem-efficient", **decode, **heads(64))) is None
    assert rule.suspect(here("sdpa-flash", **decode, **heads(8))) is None


def test_decoding_that_no_kernel_splits_is_compared_by_the_sequence() -> None:
    """float32 has no flash: 32 times the batch fills the SMs, and bfloat16 is the way out."""
    rule = pitfalls.load("decode-low-parallelism")
    call = here(Mq=1, Mkv=65536, passes="fwd", dtype="float32", **heads(8))
    both = rule.experiment(call)
    assert isinstance(both, Experiment)
    assert (both.control.case.B, both.fix.case.dtype) == (32, "bfloat16")
    assert rule.predict(call).quantity == "time-per-sequence"


def test_padding_lies_between_tokens_and_pairs() -> None:
    """Lengths 4 and 12 in slots of 12: 1.5 times the tokens, 1.8 times the pairs, at most twice that."""
    lengths = Lengths((40, 120), (40, 120))
    expected = pitfalls.load("padding-waste").predict(here(B=2, Mq=120, Mkv=120, lengths=lengths))
    assert (expected.low, expected.high) == pytest.approx((1.5, 3.6))


def test_recomputing_a_forward_costs_what_its_products_do() -> None:
    """2 of 2 + 5 products of one size more, or of 2 + 2 * 5 where the backward is half as fast."""
    rule = pitfalls.load("ckpt-recomputes-attention")
    expected = rule.predict(here(habits=("attention-checkpointed",)))
    assert (expected.low, expected.high) == pytest.approx((1 + 2 / 12, 1 + 2 / 7))


def test_who_is_asked_first_is_what_torch_said() -> None:
    """Its own order counts more than what is known of versions; without it a variable does."""
    told = machine(torch=None, variables={"TORCH_CUDNN_SDPA_DEPRIORITIZED": "1"})
    subject = here().subject
    assert _dispatch.cudnn_first(here())
    assert not _dispatch.cudnn_first(Situation(subject, (subject,), "cuda", told))
