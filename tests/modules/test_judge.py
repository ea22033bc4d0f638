"""The rule: twice the plain layer's error, never less than rounding, and no evidence from zero."""

from __future__ import annotations

import pytest
import torch

from attnprobe.core.parity import Parity
from attnprobe.device.modules.judge import Truth, allowed, judge

TRUTH = torch.linspace(-1, 1, 1000, dtype=torch.float64)


def verdict(times: float, plain_error: float = 1e-3, truth: torch.Tensor = TRUTH) -> Parity:
    """Of an error so many times as large as the plain layer's."""
    plain = truth + plain_error
    limit = allowed(plain, truth, torch.float32, terms=1)
    found = truth + times * plain_error
    return judge({"out": found}, Truth({"out": truth}, {"out": limit}))


def test_a_maximum_may_be_four_times_the_plain_one() -> None:
    """One element's luck is no error of the layer; five times is."""
    plain = TRUTH + 1e-3
    truth = Truth({"out": TRUTH}, {"out": allowed(plain, TRUTH, torch.float32, terms=1)})
    found = []
    for times in (3.9, 5.0):
        off = TRUTH.clone()
        off[7] += times * 1e-3
        found.append(judge({"out": off}, truth))
    assert [parity.verdict for parity in found] == ["pass", "fail"]
    assert found[1].quantities["out"].level == "element"
    assert found[1].quantities["out"].worst_index == (7,)


@pytest.mark.parametrize(("times", "said"), [(0.0, "pass"), (1.9, "pass"), (2.1, "fail")])
def test_twice_the_plain_error_is_the_limit(times: float, said: str) -> None:
    """Below it passes, above it fails; the ratio says how far."""
    found = verdict(times)
    assert found.verdict == said
    assert found.quantities["out"].ratio == pytest.approx(times / 2)
    assert found.quantities["out"].max_error == pytest.approx(times * 1e-3)


def test_an_exact_plain_layer_still_allows_a_rounding() -> None:
    """Its error counts as one rounding of the tensor at least."""
    limit = allowed(TRUTH, TRUTH, torch.float32, terms=1)
    found = judge({"out": TRUTH.float()}, Truth({"out": TRUTH}, {"out": limit}))
    assert found.verdict == "pass"


def test_long_sums_may_err_more() -> None:
    """A random walk of n roundings: a hundred times the terms, ten times the error."""
    short, long = (allowed(TRUTH, TRUTH, torch.float32, n).norm for n in (60_000, 6_000_000))
    assert long / short == pytest.approx(10, rel=0.02)


def test_what_is_zero_in_truth_is_no_evidence() -> None:
    """The gradient of a key's bias: all scores of a row move alike."""
    truth = TRUTH * 1e-15
    assert verdict(1.0, 1e-8, truth).verdict == "no_power"


def test_a_wide_limit_is_no_evidence() -> None:
    """A plain layer that is 6% off allows 12%."""
    assert verdict(1.0, 0.06 * float(TRUTH.square().mean().sqrt())).verdict == "no_power"


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_not_finite_is_wrong(value: float) -> None:
    """Even where the limit is wide."""
    found = TRUTH.clone()
    found[3] = value
    limit = allowed(TRUTH + 0.5, TRUTH, torch.float32, terms=1)
    said = judge({"out": found}, Truth({"out": TRUTH}, {"out": limit}))
    assert said.verdict == "fail"
    assert said.quantities["out"].nonfinite == 1
    assert said.failures[0].kind == "nonfinite"
    assert said.quantities["out"].worst_index == (3,)
