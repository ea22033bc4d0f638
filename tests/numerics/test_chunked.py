"""Attention in chunks whose sums are stored: its class blames none of it, and finds what is planted."""

from __future__ import annotations

from dataclasses import replace

import pytest

from attnprobe.core.case import Case
from attnprobe.device.inputs import Inputs, make
from attnprobe.device.numerics.judge import judge
from attnprobe.device.numerics.mutations import self_test
from attnprobe.device.reference import compute
from tests.numerics.planted import changes, subject
from tests.numerics.random_cases import draw
from tests.numerics.right_backends import chunks
from tests.numerics.simulator import Simulator

pytest.importorskip("memory_efficient_attention_pytorch")

DTYPES = ("bfloat16", "float16")

FOUND = (
    "causal-off-by-one",
    "other-alignment",
    "window-off-by-one",
    "padding-off-by-one",
    "finite-mask",
    "last-tile-dropped",
    "scale-missing",
    "scale-of-padded-K",
    "heads-interleaved",
    "no-rescale-last-tile",
    "stale-tile",
    "D-missing",
    "dq-tail-zero",
    "out-gain",
    "dbias-of-one-head",
    "dropout-on",
    "value-column-stale",
    "softcap-slope-missing",
)


def own_scale(inputs: Inputs) -> Inputs:
    """The same tensors under K^-0.5, the only scale that the package has."""
    score = replace(inputs.case.score, scale=None)
    return replace(inputs, case=inputs.case.edit(score=score))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("family", ["normal", "uniform", "large", "outlier", "sink", "small"])
def test_the_package_meets_its_class(family: str, dtype: str) -> None:
    """With cotangents of both signs and of one, as a mean as loss gives them."""
    for seed in range(50_000, 50_004):
        inputs = own_scale(draw(seed, dtype, family=family, kind=("none", "padding")[seed % 2]))
        if seed % 4 > 1:
            inputs = replace(inputs, dout=inputs.dout.abs())
        parity = judge(chunks(inputs), inputs, compute(inputs), "chunked")
        assert parity.verdict != "fail", (inputs.case.label, parity.failures)


@pytest.mark.parametrize("dtype", DTYPES)
def test_no_other_class_allows_it(dtype: str) -> None:
    """Where mean key and D are not zero, dq is coarser than plain attention in 16 bits may be."""
    seen = set()
    for seed in range(6):
        inputs = own_scale(draw(seed, dtype, family="uniform", kind="none", top=300))
        inputs = replace(inputs, dout=inputs.dout.abs())
        parity = judge(chunks(inputs), inputs, compute(inputs), "chunked")
        assert parity.verdict != "fail"
        seen.add(parity.numerics_class)
    assert "chunked" in seen


@pytest.mark.parametrize("dtype", DTYPES)
def test_several_chunks(dtype: str) -> None:
    """More than 1024 keys: partial sums are brought to one maximum, stored at every step."""
    for family in ("normal", "uniform", "large"):
        inputs = own_scale(draw(5, dtype, family=family, kind="none", top=60))
        case = inputs.case.edit(Mkv=2100)
        made = make(case)
        sign = 1.0 if family != "uniform" else made.k.abs() / made.k
        inputs = replace(inputs, case=case, k=made.k * sign, v=made.v)
        parity = judge(chunks(inputs), inputs, compute(inputs), "chunked")
        assert parity.verdict != "fail", (family, parity.failures)


def test_equal_rows_round_alike() -> None:
    """Close logits give all rows one sum, whose rounding is one error: it is foreseen, and no bug."""
    blamed = 0
    for seed in range(41_000, 41_012):
        inputs = own_scale(draw(seed, "bfloat16", family="small", kind="none", top=300))
        inputs = replace(inputs, v=inputs.v.abs())
        outputs, reference = chunks(inputs), compute(inputs)
        assert judge(outputs, inputs, reference, "chunked").verdict != "fail"
        moments = {n: replace(m, rho_chunked=None) for n, m in reference.moments.items()}
        unaware = replace(reference, moments=moments, remembered={})
        blamed += judge(outputs, inputs, unaware, "chunked").verdict == "fail"
    assert blamed


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bug", FOUND)
def test_planted_bugs_are_found(bug: str, dtype: str) -> None:
    """Each on a case that it changes, under the looser class too."""
    for seed in range(20_000, 20_012):
        inputs = subject(bug, seed, dtype)
        wrong = Simulator(bug)(inputs)
        if changes(wrong, Simulator()(inputs)):
            assert judge(wrong, inputs, compute(inputs), "chunked").verdict == "fail"
            return
    pytest.fail(f"{bug} changed no case")


@pytest.mark.parametrize("dtype", DTYPES)
def test_what_a_pass_means(dtype: str) -> None:
    """On an ordinary case nearly every mutation of the truth is rejected."""
    inputs = make(Case(2, 4, 4, 64, 64, 32, 32, dtype=dtype))
    score = self_test(inputs, compute(inputs), "chunked")
    assert score.found >= score.tried - 2, score.missed
