"""What explaining may cost, and what it may not say."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from attnprobe.core.case import Case
from attnprobe.core.parity import Parity
from attnprobe.device.explainer import explain, past
from attnprobe.device.explainer.hypotheses import of_kind
from attnprobe.device.inputs import Inputs, Outputs, make
from attnprobe.device.numerics.judge import judge
from attnprobe.device.reference import compute
from tests.mutation import gradients, scores
from tests.mutation.base import Attention

Explained = Callable[[Callable[..., Any], Case], Parity]

CASE = Case(B=2, Hq=4, Hkv=2, Mq=70, Mkv=70, K=16, Kv=16, dtype="float32")


def returned(inputs: Inputs, **changes: torch.Tensor) -> Outputs:
    """The truth, and some of it changed."""
    truth = compute(inputs)
    parts = {n: getattr(truth, n).to(inputs.q.dtype) for n in ("out", "dq", "dk", "dv")}
    return Outputs(**(parts | changes))


def said(outputs: Outputs, inputs: Inputs) -> dict[str, str]:
    """Hypotheses by quantity."""
    truth = compute(inputs)
    parity = explain(judge(outputs, inputs, truth, "fused_tc"), outputs, inputs, truth)
    return {f.of: f.hypothesis for f in parity.failures}


@pytest.mark.parametrize("spoil", [math.nan, "noise"])
def test_a_gradient_beside_a_wrong_output_is_not_explained_alone(spoil: float | str) -> None:
    """An output that nothing explains, and a zero dv: not that dv was never written."""
    inputs = make(CASE)
    right = returned(inputs)
    noise = torch.randn(right.out.shape, generator=torch.Generator().manual_seed(0))
    out = right.out * (1 + noise) if spoil == "noise" else torch.full_like(right.out, math.nan)
    found = said(replace(right, out=out, dv=torch.zeros_like(inputs.v)), inputs)
    assert found.keys() == {"out", "dv"}
    assert all(text.startswith("no hypothesis fits (") for text in found.values())
    assert "gradients alone are no cause while the output is wrong" in found["dv"]


def test_it_is_explained_beside_an_explained_output() -> None:
    """Two bugs, each with a name."""
    inputs = make(CASE)
    right = returned(inputs)
    found = said(replace(right, out=right.out * 1.0625, dv=torch.zeros_like(inputs.v)), inputs)
    assert "multiplied by 1.0625" in found["out"]
    assert "dv is zero" in found["dv"]


def test_it_is_explained_beside_a_right_output() -> None:
    """As before."""
    inputs = make(CASE)
    assert "dv is zero" in said(returned(inputs, dv=torch.zeros_like(inputs.v)), inputs)["dv"]


def test_what_helped_is_tried_first(explained: Explained, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second failure of a missing scale asks one hypothesis of all."""
    explained(scores.ScaleMissing(), CASE)
    (helped,) = past.of("").helped
    assert helped.__module__.endswith(".scale")
    monkeypatch.setattr(
        "attnprobe.device.explainer.hypotheses.of_kind",
        lambda kind: (helped, _fails) if helped in of_kind(kind) else (_fails,),
    )
    failures = explained(scores.ScaleMissing(), CASE.edit(Mq=40)).failures
    assert {f.hypothesis for f in failures} == {"the scale is missing"}


def _fails(seen: object) -> Any:
    pytest.fail("another hypothesis was asked")


class Wobbles(Attention):
    """Wrong everywhere, as no hypothesis has it."""

    def output(self, P: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        return super().output(P * (1 + 0.3 * torch.sin(37 * P.cumsum(-1))), v)


def test_all_failures_of_a_backend_together_are_bounded(
    explained: Explained, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once the time is spent, nothing is tried; that is said, and where the error sits still is."""
    first = explained(Wobbles(), CASE).failures[0]
    assert first.hypothesis.startswith("no hypothesis fits (")
    assert past.of("").spent_s > 0.001
    monkeypatch.setattr(past, "TOTAL_S", 0.001)
    second = explained(gradients.DqTailIsZero(), CASE).failures[0]
    assert second.hypothesis == (
        "no hypothesis tried: explaining earlier failures of this backend took 0.001 s; "
        "ask about this case alone"
    )
    assert second.where.startswith("query rows 64 to 69 of 70")
    assert not second.is_explained


def test_another_backend_has_its_own_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A backend that is wrong everywhere does not silence the next."""
    past.of("wrong everywhere").spent_s = past.TOTAL_S
    inputs = make(CASE)
    truth = compute(inputs)
    outputs = returned(inputs, dv=torch.zeros_like(inputs.v))
    parity = judge(outputs, inputs, truth, "fused_tc")
    assert "dv is zero" in explain(parity, outputs, inputs, truth, None, "x").failures[0].hypothesis
    late = explain(parity, outputs, inputs, truth, None, "wrong everywhere").failures[0]
    assert late.hypothesis.startswith("no hypothesis tried: explaining earlier failures")
