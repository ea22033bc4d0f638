"""A callable of the user's own gives its log-sum-exp when its signature says that it can."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from attnprobe import masks
from attnprobe.core.case import Case
from attnprobe.core.parity import Failure, Parity
from attnprobe.device import laboratory
from attnprobe.device.backends._user import UserCallable
from attnprobe.device.explainer import explain
from attnprobe.device.inputs import make
from attnprobe.device.laboratory import Skipped
from attnprobe.device.numerics.judge import judge
from attnprobe.device.reference import compute
from attnprobe.device.subject import Subject

CAUSAL = masks.parse("causal", square=True)
CASE = Case(B=2, Hq=4, Hkv=4, Mq=64, Mkv=64, K=16, Kv=16, dtype="float32", mask=CAUSAL)

Change = Callable[[Tensor], Any]


def kernel(change: Change = lambda lse: lse, factor: float | None = None) -> Callable[..., Any]:
    """Plain causal attention; `change` spoils what is returned as the log-sum-exp."""

    def attend(
        query: Tensor,
        key: Tensor,
        value: Tensor,
        is_causal: bool = False,
        return_lse: bool = False,
    ) -> Any:
        M, N = query.shape[2], key.shape[2]
        scores = query.double() @ key.double().mT
        if is_causal:
            later = torch.ones(M, N, dtype=torch.bool).triu(1)
            scores = scores.masked_fill(later, -math.inf)
        scaled = scores * query.shape[-1] ** -0.5
        out = (scaled.softmax(-1) @ value.double()).to(query.dtype)
        lse = (scaled if factor is None else scores * factor).logsumexp(-1).float()
        return (out, change(lse)) if return_lse else out

    return attend


def parity(function: Callable[..., Any], case: Case = CASE) -> Parity:
    """As a check has it."""
    inputs = make(case)
    backend, truth = UserCallable("mine", function), compute(inputs)
    subject = Subject(backend, inputs)
    prepared = subject.prepare()
    outputs = subject.launch(prepared).outputs
    found = judge(outputs, inputs, truth, "fused_tc")
    found = explain(found, outputs, inputs, truth, subject.run, "mine")
    failures = found.failures + prepared.complaints()
    return Parity(found.verdict, found.contract, quantities=found.quantities, failures=failures)


def ring(function: Callable[..., Any]) -> tuple[Failure, ...] | Skipped:
    """The experiment's answer."""
    return laboratory.load("ring")(Subject(UserCallable("mine", function), make(CASE)))


def test_a_right_log_sum_exp_is_compared_and_merged() -> None:
    """And gradients are those of the plain call."""
    found = parity(kernel())
    assert found.quantities["lse"].verdict == "pass"
    assert found.quantities["dq"].verdict == "pass"
    assert found.failures == ()
    assert ring(kernel()) == ()


WRONG: dict[str, tuple[Callable[..., Any], str, str]] = {
    "base 2": (kernel(lambda lse: lse / math.log(2.0)), "in base 2", "lse_base"),
    "without the scale": (kernel(factor=1.0), "without the scale", "accuracy"),
    "the scale twice": (kernel(factor=16**-1.0), "no hypothesis fits", "accuracy"),
    "heads last": (
        kernel(lambda lse: lse.transpose(1, 2).reshape(lse.shape)),
        "lies in memory as (B, Mq, Hq)",
        "lse_layout",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_one_is_found_and_named(name: str) -> None:
    """By its values in a check, by what becomes of the merge in a ring."""
    function, says, kind = WRONG[name]
    (failure,) = parity(function).failures
    assert (failure.kind, failure.of) == ("accuracy", "lse")
    assert says in failure.hypothesis
    merged = ring(function)
    assert not isinstance(merged, Skipped)
    assert [f.kind for f in merged] == [kind]


def test_a_constant_offset_is_found_by_its_values_alone() -> None:
    """It cancels in a merge."""
    function = kernel(lambda lse: lse + math.log(0.25))
    (failure,) = parity(function).failures
    assert "log(scale)" in failure.hypothesis
    assert ring(function) == ()


def test_heads_last_in_shape_is_a_shape() -> None:
    """(B, M, H) says itself what it is."""
    (failure,) = parity(kernel(lambda lse: lse.transpose(1, 2))).failures
    assert (failure.kind, failure.message) == ("shape", "lse is (2, 64, 4), not (2, 4, 64)")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda lse: None, "NoneType as the log-sum-exp"),
        (lambda lse: lse.long(), "of torch.int64"),
        (lambda lse: lse.to("meta"), "on meta"),
    ],
)
def test_what_is_no_log_sum_exp_is_named(change: Change, says: str) -> None:
    """Not raised."""
    (failure,) = parity(kernel(change)).failures
    assert failure.kind == "type"
    assert says in failure.message


def test_the_output_alone_is_named() -> None:
    """A signature that promises it and a call that does not give it."""

    def forgets(query: Tensor, key: Tensor, value: Tensor, return_lse: bool = False) -> Tensor:
        return torch.nn.functional.scaled_dot_product_attention(query, key, value)

    (failure,) = parity(forgets, CASE.edit(mask=masks.parse("none"))).failures
    assert failure.message == "with return_lse=True it returned Tensor, not (output, log-sum-exp)"


def test_a_refusal_is_no_failure() -> None:
    """NotImplementedError: not in this case."""

    def refuses(lse: Tensor) -> Tensor:
        raise NotImplementedError

    found = parity(kernel(refuses))
    assert found.failures == ()
    assert "lse" not in found.quantities


def test_a_callable_without_it_is_not_asked() -> None:
    """`**kwargs` promises nothing; a module is asked by its forward; rings say what is missing."""

    def plain(query: Tensor, key: Tensor, value: Tensor, **kwargs: Any) -> Tensor:
        assert "return_lse" not in kwargs
        return torch.nn.functional.scaled_dot_product_attention(query, key, value, **kwargs)

    found = parity(plain)
    assert found.failures == ()
    assert "lse" not in found.quantities
    skipped = ring(plain)
    assert isinstance(skipped, Skipped)
    assert "return_lse=True" in skipped.reason


class Module(torch.nn.Module):
    """A kernel in a module."""

    def forward(self, *args: Tensor, is_causal: bool = False, return_lse: bool = False) -> Any:
        return kernel()(*args, is_causal=is_causal, return_lse=return_lse)


def test_a_module_is_asked_by_its_forward() -> None:
    """nn.Module.__call__ itself has no such signature."""
    assert parity(Module()).quantities["lse"].verdict == "pass"
