"""The constants of arithmetics and formats follow from what they claim to follow from."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from attnprobe.core.case import Case
from attnprobe.core.mask import Mask
from attnprobe.device.inputs import make
from attnprobe.device.numerics import contracts, formats
from attnprobe.device.numerics.arithmetic import (
    IEEE,
    TENSOR_CORE,
    TF32,
    U32,
    confidence,
    kinds,
)
from attnprobe.device.numerics.bounds import bound
from attnprobe.device.numerics.levels import _tail
from attnprobe.device.numerics.mutations import self_test
from attnprobe.device.numerics.ties import ties
from attnprobe.device.reference import compute
from attnprobe.errors import UsageError
from tests.numerics.random_cases import draw


def cut(x: np.ndarray, like: np.ndarray) -> np.ndarray:
    """X truncated to 24 bits below the exponent of `like`."""
    _, exponent = np.frexp(like)
    quantum = np.ldexp(1.0, exponent - 24)
    return np.trunc(x / quantum) * quantum


def tensor_core(a: np.ndarray, b: np.ndarray, inner: int) -> tuple[np.ndarray, np.ndarray]:
    """Dot products in steps of `inner` aligned, truncated products; and their largest partial sums."""
    products = a * b
    total, largest = np.zeros(a.shape[0]), np.zeros(a.shape[0])
    for start in range(0, a.shape[1], inner):
        terms = np.concatenate([total[:, None], products[:, start : start + inner]], 1)
        top = np.abs(terms).max(1, keepdims=True) + 1e-300
        summed = cut(terms, top).sum(1)
        total = cut(summed, np.abs(summed) + 1e-300)
        largest = np.maximum(largest, np.abs(total))
    return total, largest


@pytest.mark.parametrize("inner", [4, 8, 16])
@pytest.mark.parametrize("n", [64, 4096])
@pytest.mark.parametrize("positive", [False, True])
def test_truncating_accumulation_stays_within_spread_and_drift(
    positive: bool, n: int, inner: int
) -> None:
    """A model of a tensor core of any width errs by less than TENSOR_CORE allows."""
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal((300, n)) for _ in range(2))
    a, b = (np.abs(a), np.abs(b)) if positive else (a, b)
    a, b = (x.astype(np.float16).astype(np.float64) for x in (a, b))
    got, largest = tensor_core(a, b, inner)
    error = np.abs(got - (a * b).sum(1))
    allowed = TENSOR_CORE.spread(n, confidence(300)) * np.abs(a * b).sum(1)
    allowed = allowed + TENSOR_CORE.drift(n) * largest
    assert float((error / allowed).max()) < 1.0


def test_truncation_drifts() -> None:
    """Without the drift a long sum of one sign would break the bound: it is there for a reason."""
    rng = np.random.default_rng(0)
    a = np.abs(rng.standard_normal((50, 2**15))).astype(np.float16).astype(np.float64)
    got, _ = tensor_core(a, np.ones_like(a), 4)
    error = np.abs(got - a.sum(1)) / a.sum(1)
    assert float(error.min()) > TENSOR_CORE.spread(2**15, confidence(50))
    assert float(error.max()) < TENSOR_CORE.drift(2**15)


def test_rounded_accumulation_stays_within_spread() -> None:
    """float32 sums in order, reversed and pairwise err by less than IEEE allows."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((300, 2048)).astype(np.float32)
    truth, size = x.astype(np.float64).sum(1), np.abs(x.astype(np.float64)).sum(1)
    for got in (np.cumsum(x, 1)[:, -1], np.cumsum(x[:, ::-1], 1)[:, -1], x.sum(1)):
        error = np.abs(got - truth) / size
        assert float(error.max()) < IEEE.spread(2048, confidence(300))


def test_a_cubic_exponential_errs_by_less_than_assumed() -> None:
    """Cubic Chebyshev interpolation of 2^x: between 2^-14 and 2^-13."""
    nodes = 0.5 + 0.5 * np.cos((2 * np.arange(4) + 1) * np.pi / 8)
    x = np.linspace(0, 1, 10_001)
    cubic = np.polyval(np.polyfit(nodes, 2.0**nodes, 3), x)
    worst = float(np.abs(cubic / 2.0**x - 1).max())
    assert 2.0**-14 < worst < TENSOR_CORE.exp


def test_torch_s_16_bit_exponential_on_cpus_is_within_the_assumption() -> None:
    """A row of two keys: the weight that CPU flash gives the second is exp(S), seen through its LSE."""
    S = torch.linspace(-5, 0, 400)
    q = torch.zeros(1, 1, 400, 8, dtype=torch.bfloat16)
    v = torch.zeros(1, 1, 2, 8, dtype=torch.bfloat16)
    added = torch.stack([torch.zeros(400), S.bfloat16().float()], -1).bfloat16()[None, None]
    _, lse = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
        q, v, v, 0.0, False, attn_mask=added
    )
    lse = lse.reshape(-1).double()
    exact = torch.logsumexp(added[0, 0].double(), -1)
    assert float((lse - exact).abs().max()) < TENSOR_CORE.exp


@given(st.floats(-1e4, 1e4), st.sampled_from(["float16", "bfloat16", "float32"]))
def test_formats_bound_their_rounding(x: float, dtype: str) -> None:
    """Rounding errs by at most u |x| + eta, subnormals included."""
    form = formats.of(dtype)
    stored = torch.tensor(x, dtype=torch.float64).to(getattr(torch, dtype)).double().item()
    assert abs(stored - x) <= form.u * abs(x) + form.eta


def test_the_chi_square_tail_holds() -> None:
    """Weighted sums of squares exceed the tail less often than exp(-x)."""
    g = torch.Generator().manual_seed(0)
    weights = torch.rand(50, generator=g, dtype=torch.float64)
    sums = (weights * torch.randn(20_000, 50, generator=g, dtype=torch.float64) ** 2).sum(1)
    x = 5.0
    limit = _tail(weights.sum(), (weights**2).sum(), x)
    assert float((sums > limit).double().mean()) < math.exp(-x)


def test_confidence_is_the_union_bound() -> None:
    """2 n exp(-lambda^2 / 2) = 1e-6."""
    assert 2 * 1000 * math.exp(-(confidence(1000) ** 2) / 2) == pytest.approx(1e-6)


def test_tf32_operands_dominate() -> None:
    """TF32's bound is thousands of times float32's."""
    assert TF32.spread(64, 6.0) > 500 * IEEE.spread(64, 6.0)
    assert IEEE.spread(3, 7.0) == 3 * U32


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32"])
def test_the_ladder_widens(dtype: str) -> None:
    """Each rung of one family allows at least what the rung before it does."""
    case = Case(1, 4, 2, 60, 70, 32, 32, dtype=dtype, mask=Mask(None, 0, "bottom-right"))
    reference = compute(make(case))
    for name in reference.moments:
        before = None
        for rung in ("fp32-internal", "fused", "fused_tc", "mem_efficient"):
            held = contracts.get(rung, dtype)
            b = bound(name, reference, held, case)
            free = b.single + b.row + b.common
            now = b.hard + b.systematic + reference.level * free.sqrt()
            if before is not None:
                assert bool((now >= before * (1 - 1e-9)).all()), (name, rung)
            before = now


def test_every_contract_exists_for_every_dtype() -> None:
    """names() can all be had, float64 and typos cannot."""
    for dtype in ("float32", "bfloat16", "float16"):
        for name in contracts.names():
            held = contracts.get(name, dtype)
            assert held.name == name
            assert held.arithmetic in kinds(dtype)
    with pytest.raises(UsageError, match="float64"):
        contracts.get("fused", "float64")
    with pytest.raises(UsageError, match="fp33"):
        contracts.get("fp33", "float32")


def test_low_precision_accumulators_are_counted() -> None:
    """CPU flash adds 4 tiles of 64 queries to dk and two tiles of 512 keys to dq."""
    held = contracts.get("cpu_flash", "bfloat16")
    case = Case(1, 1, 1, 256, 1000, 8, 8)
    assert [held.additions(n, case) for n in ("dq", "dk", "dv")] == [1, 3, 3]
    assert contracts.get("fused", "bfloat16").additions("dk", case) == 0


def test_ties_are_counted() -> None:
    """Equal keys, equal queries and equal columns are seen; random ones are not."""
    found = ties(draw(1, "float32", family="constant-key", kind="none"))
    assert found.keys > 1
    plain = ties(draw(1, "float32", family="normal", kind="none"))
    assert (plain.keys, plain.queries, plain.columns) == (1, 1, False)
    assert ties(draw(1, "float32", family="repeated", kind="none")).keys == 4
    assert ties(draw(1, "float32", family="position", kind="none")).columns


@pytest.mark.parametrize("kind", ["none", "causal-br", "window", "bias-1HMN"])
def test_the_judge_would_have_noticed(kind: str) -> None:
    """On ordinary inputs every mutant of the truth is rejected."""
    inputs = draw(5, "bfloat16", family="normal", kind=kind)
    score = self_test(inputs, compute(inputs), "fused")
    assert score.missed == ()
    assert score.found == score.tried >= 6
