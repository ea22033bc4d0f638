"""Right implementations that round in different places land on the rung made for them."""

from __future__ import annotations

import pytest
import torch

from attnprobe.device.inputs import Inputs, Outputs
from attnprobe.device.numerics.judge import judge
from attnprobe.device.reference import compute
from tests.numerics.random_cases import draw
from tests.numerics.right_backends import eager
from tests.numerics.simulator import Simulator


def from_stored(inputs: Inputs) -> Outputs:
    """CUTLASS's order: P is stored, dS is made from it and scaled before it is rounded."""
    case, dtype = inputs.case, inputs.q.dtype
    right = Simulator()(inputs)
    q, g = inputs.q.float(), inputs.dout.float()
    k, v = (t.float().repeat_interleave(case.groups, 1) for t in (inputs.k, inputs.v))
    P = torch.softmax(case.scale * q @ k.mT, -1).to(dtype).float()
    D = (g * right.out.float()).sum(-1, keepdim=True)
    dS = (P * (g @ v.mT - D) * case.scale).to(dtype).float()
    grouped = (case.B, case.Hkv, case.groups, case.Mkv, case.K)
    dk = (dS.mT @ q).view(grouped).sum(2)
    return Outputs(right.out, right.lse, (dS @ k).to(dtype), dk.to(dtype), right.dv)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_gradients_from_the_stored_probabilities_meet_their_class(dtype: str) -> None:
    """Over random cases, small probabilities included."""
    for seed in range(30_000, 30_012):
        family = ("normal", "uniform", "large", "outlier")[seed % 4]
        inputs = draw(seed, dtype, kind="none", family=family)
        parity = judge(from_stored(inputs), inputs, compute(inputs), "mem_efficient")
        assert parity.verdict != "fail", (inputs.case.label, parity.failures)


def test_in_float16_it_needs_that_class() -> None:
    """A sink makes other P subnormal: dk breaks fused_tc; in bfloat16 it does not."""
    classes: dict[str, set[str]] = {"float16": set(), "bfloat16": set()}
    for dtype, seen in classes.items():
        for seed in range(600, 604):
            inputs = draw(seed, dtype, kind="none", family="sink", top=160)
            seen.add(
                judge(from_stored(inputs), inputs, compute(inputs), "cpu_flash").numerics_class
            )
    assert "mem_efficient" in classes["float16"]
    assert classes["bfloat16"] == {"fused"}


def test_equal_probabilities_round_alike() -> None:
    """Logits close to each other: one rounding error for all keys scales dq, and is no bug."""
    for seed in range(4):
        inputs = draw(700 + seed, "bfloat16", kind="none", family="small", top=300)
        parity = judge(from_stored(inputs), inputs, compute(inputs), "mem_efficient")
        assert parity.verdict != "fail", parity.failures


def test_the_exponential_of_a_large_error_is_not_linear() -> None:
    """Logits of 30 stored in bfloat16 err by more than a tenth: P moves by exp of that, minus 1."""
    inputs = draw(7012, "bfloat16", top=200)
    assert inputs.case.name == "large/bias-11MN"
    assert judge(eager(inputs), inputs, compute(inputs), "unfused").verdict != "fail"
