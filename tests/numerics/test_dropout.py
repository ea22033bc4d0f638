"""Dropout: the pairs are read off the backend, and the truth for those pairs is compared."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from attnprobe.core.case import Case
from attnprobe.core.mask import Mask
from attnprobe.device.inputs import Inputs, Outputs, make
from attnprobe.device.numerics import dropout
from attnprobe.device.numerics.judge import judge
from attnprobe.device.reference import compute
from tests.numerics.right_backends import finish, leaves

CASE = Case(2, 4, 4, 48, 48, 16, 16, mask=Mask(None, 0, "top-left"), dropout_p=0.2)


def sdpa(inputs: Inputs, p: float = 0.2, seed: int = 7) -> Outputs:
    """Torch's math path, the same pairs in every call."""
    torch.manual_seed(seed)
    x = leaves(inputs)
    out = scaled_dot_product_attention(x["q"], x["k"], x["v"], dropout_p=p, is_causal=True)
    return finish(inputs, x, out)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_the_truth_for_the_drawn_pairs_is_compared(dtype: str) -> None:
    """A right kernel passes with its own pairs and fails with another seed's."""
    inputs = make(CASE.edit(dtype=dtype))
    kept = dropout.drawn(sdpa, inputs)
    reference = compute(inputs, drawn=kept)
    parity = judge(sdpa(inputs), inputs, reference, "fp32-internal")
    assert parity.verdict == "pass", parity.failures
    assert judge(sdpa(inputs, seed=8), inputs, reference, "fp32-internal").verdict == "fail"


def test_without_the_pairs_there_is_no_verdict() -> None:
    """The reason is said; what is not finite fails all the same."""
    inputs = make(CASE)
    outputs, reference = sdpa(inputs), compute(inputs)
    found = judge(outputs, inputs, reference, "fused")
    assert found.verdict == "none"
    assert "dropout" in found.unsaid
    broken = replace(outputs, out=outputs.out.clone().fill_(torch.nan))
    assert [f.kind for f in judge(broken, inputs, reference, "fused").failures] == ["nonfinite"]


def test_a_right_dropout_passes() -> None:
    """Rate, mask and the pairs of the backward."""
    assert dropout.check(sdpa, make(CASE)) == ()


def test_wrong_dropout_is_named() -> None:
    """A wrong rate and a backward with pairs of its own are told apart."""
    inputs = make(CASE)
    wrong_rate = dropout.check(lambda x: sdpa(x, p=0.3), inputs)
    assert [f.kind for f in wrong_rate] == ["dropout"]
    assert "keeps 0.7" in wrong_rate[0].message

    def other_pairs(x: Inputs) -> Outputs:
        return replace(sdpa(x), dv=sdpa(x, seed=8).dv)

    assert "backward drops" in dropout.check(other_pairs, inputs)[0].message
