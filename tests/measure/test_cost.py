"""Pairs, operations and bytes are what counting one by one gives."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attnprobe import masks
from attnprobe.core import cost
from attnprobe.core.case import Case, Lengths
from attnprobe.core.mask import NONE, Mask
from attnprobe.core.score import Bias, Score

LENGTH = st.integers(0, 12)
SIDE = st.none() | st.integers(-3, 15)


def brute(mask: Mask, Mq: int, Mkv: int) -> int:
    return sum(bool(mask.allows(i, j, Mq, Mkv)) for i in range(Mq) for j in range(Mkv))


@given(SIDE, SIDE, st.sampled_from(["top-left", "bottom-right"]), LENGTH, LENGTH)
@settings(max_examples=500, deadline=None)
def test_pairs_of_a_band_equal_the_definition(left, right, align, Mq, Mkv):
    """The closed form counts what `allows` says, for every band, shape and alignment."""
    if left is not None and right is not None and left + right < 0:
        return
    mask = Mask(left, right, align)
    assert cost.pairs(mask, Mq, Mkv) == brute(mask, Mq, Mkv)


@given(SIDE, SIDE, st.sampled_from(["top-left", "bottom-right"]), LENGTH, LENGTH)
@settings(max_examples=300, deadline=None)
def test_keys_in_a_band_are_the_columns_that_someone_attends(left, right, align, Mq, Mkv):
    """`bytes_min` reads exactly the keys that at least one query of the band attends."""
    if left is not None and right is not None and left + right < 0:
        return
    mask = Mask(left, right, align)
    used = sum(any(mask.allows(i, j, Mq, Mkv) for i in range(Mq)) for j in range(Mkv))
    case = Case(1, 1, 1, Mq, Mkv, 1, 1, "float32", mask=mask, passes="fwd")
    expected = 4 * (Mq + 2 * used + Mq)
    assert cost.bytes_min(case, "fwd") == expected


@pytest.mark.parametrize("shape", [(9, 9), (5, 11), (11, 5), (1, 7)])
def test_predicates_are_counted_with_vectors_as_with_integers(shape):
    """`indices` changes how pairs are counted, never how many there are."""
    torch = pytest.importorskip("torch")
    mask = masks.parse("prefix-lm(prefix=3, align=top-left)")
    assert not mask.is_band
    assert cost.pairs(mask, *shape, torch.arange) == cost.pairs(mask, *shape) == brute(mask, *shape)


def test_predicates_are_counted_in_chunks_without_losing_a_row(monkeypatch):
    """A mask larger than one chunk of rows is counted whole."""
    torch = pytest.importorskip("torch")
    mask = masks.parse("prefix-lm(prefix=3, align=top-left)")
    assert cost.pairs(mask, 5, 2**21, torch.arange) == 3 + 3 + 3 + 4 + 5


def test_every_sequence_is_counted_alone():
    """Packed documents attend within themselves; the tail and the padding attend nothing."""
    causal = masks.parse("causal", square=True)
    lengths = Lengths((3, 0, 5), (3, 0, 5), "packed", tail=4)
    case = Case(3, 4, 2, 5, 5, 8, 8, mask=causal, lengths=lengths)
    assert cost.attended_pairs(case) == 4 * (6 + 15)
    assert cost.attended_pairs(case.edit(mask=NONE)) == 4 * (9 + 25)


def test_flops_match_the_published_convention():
    """Without a mask and with K = Kv, forward is 4 B H M^2 K and backward 2.5 times as much."""
    case = Case(2, 8, 8, 64, 64, 32, 32)
    assert cost.flops(case, "fwd") == 4 * 2 * 8 * 64 * 64 * 32
    assert cost.flops(case, "bwd") == 2.5 * cost.flops(case, "fwd")
    both = cost.flops(case, "fwd") + cost.flops(case, "bwd")
    assert cost.flops(case, "fwd+bwd") == both


def test_flops_tell_the_head_dim_of_values_from_that_of_keys():
    """S, dQ and dK cost K a pair; dP, dV and the output Kv."""
    case = Case(1, 1, 1, 10, 10, 192, 128)
    assert cost.flops(case, "fwd") == 100 * 2 * (192 + 128)
    assert cost.flops(case, "bwd") == 100 * 2 * (3 * 192 + 2 * 128)


def test_causal_pairs_of_a_long_square_are_half_and_the_diagonal():
    """131,072 tokens are counted at once, not one by one."""
    causal = masks.parse("causal", square=True)
    M = 131_072
    assert cost.pairs(causal, M, M) == M * (M + 1) // 2


def test_bytes_of_a_decode_step_are_those_of_the_cache():
    """One query against a grouped KV cache: the cache is all but everything."""
    case = Case(8, 32, 8, 1, 8192, 128, 128, "bfloat16", passes="fwd", grads=())
    cache = 8 * 8192 * 8 * 2 * 128 * 2
    assert cost.bytes_min(case, "fwd") == cache + 2 * (8 * 32 * 128 * 2)


def test_floor_holds_output_gradients_and_lse():
    """B2 H8 M2048 K64 in bf16: four tensors of 4 MiB and 128 KiB of log-sum-exp."""
    case = Case(2, 8, 8, 2048, 2048, 64, 64, "bfloat16")
    assert cost.floor_bytes(case) == 4 * 4 * 2**20 + 128 * 2**10
    assert cost.floor_bytes(case.edit(passes="fwd")) == 4 * 2**20
    assert cost.floor_bytes(case.edit(grads=("q",))) == 2 * 4 * 2**20 + 128 * 2**10


def test_a_bias_gradient_costs_its_own_broadcast_shape():
    """(1, H, M, N) of gradient, not (B, H, M, N)."""
    plain = Case(2, 4, 4, 16, 16, 8, 8, "float32")
    biased = plain.edit(score=Score(bias=Bias(requires_grad=True)))
    assert cost.floor_bytes(biased) - cost.floor_bytes(plain) == 4 * 16 * 16 * 4


def test_estimate_sees_the_score_matrix_only_where_it_is_made():
    """Math on B2 H8 M2048 K64 took 1,048 MiB over its inputs; the estimate is no lower."""
    case = Case(2, 8, 8, 2048, 2048, 64, 64, "bfloat16")
    fused, unfused = (cost.estimate_bytes(case, materialises=m) for m in (False, True))
    assert unfused - fused == 4 * cost.score_bytes(case) == 1024 * 2**20
    assert unfused >= 1052 * 2**20
    long = case.edit(B=1, Mq=131_072, Mkv=131_072, mask=NONE)
    assert cost.estimate_bytes(long, materialises=False) < 16 * 2**30
    assert cost.estimate_bytes(long, materialises=True) > 2**40
