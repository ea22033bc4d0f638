"""A model learns with a right backend as with any other; with a wrong one it does not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention as sdpa

from attnprobe import masks
from attnprobe.core.case import Case
from attnprobe.core.outcome import Measured, Refused
from attnprobe.core.report import Report
from attnprobe.core.trial import Record, Trial
from attnprobe.device import backends
from attnprobe.device.backends._user import UserCallable
from attnprobe.device.backends.base import Backend
from attnprobe.device.inputs import make
from attnprobe.device.subject import Subject
from attnprobe.device.training import parity
from attnprobe.device.training.exchange import exchanged
from attnprobe.device.training.task import LAG, VOCABULARY, Task, certain
from attnprobe.report import compose, json_view, terminal

CASE = Case(
    B=8, Hq=8, Hkv=8, Mq=24, Mkv=24, K=16, Kv=16, mask=masks.parse("causal", square=True)
)  # fmt: skip


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parity, "STEPS", {"cpu": 80})


def trained(backend: Backend) -> Measured:
    outcome = parity.answer(Subject(backend, make(CASE)), "form")
    assert isinstance(outcome, Measured)
    return outcome


def wrong(call: Callable[..., Tensor]) -> Measured:
    return trained(UserCallable("mine", call))


def sees_the_next(q: Tensor, k: Tensor, v: Tensor, **given: Any) -> Tensor:
    keep = torch.ones(q.shape[2], k.shape[2], dtype=torch.bool).tril(1)
    return sdpa(q, k, v, attn_mask=keep)


def scaled_twice(q: Tensor, k: Tensor, v: Tensor, **given: Any) -> Tensor:
    return sdpa(q, k, v, **given, scale=1.0 / q.shape[-1])


def no_gradient_of_keys(q: Tensor, k: Tensor, v: Tensor, **given: Any) -> Tensor:
    return sdpa(q, k.detach() + 0.0 * k, v, **given)


@pytest.mark.slow
def test_right_backends_learn_alike() -> None:
    """Whatever they round."""
    for name in ("sdpa-flash", "eager"):
        outcome = trained(backends.load(name))
        assert outcome.parity is not None
        assert outcome.parity.verdict == "pass", outcome.parity.failures
        assert outcome.training is not None
        assert outcome.training.accuracy > 0.99
        assert len(outcome.training.losses) == 80


@pytest.mark.slow
@pytest.mark.parametrize("call", [sees_the_next, scaled_twice, no_gradient_of_keys])
def test_a_wrong_backend_learns_otherwise(call: Callable[..., Tensor]) -> None:
    """One that sees the future even learns better, and is wrong for that."""
    outcome = wrong(call)
    assert outcome.parity is not None
    assert outcome.parity.verdict == "fail"
    assert {failure.kind for failure in outcome.parity.failures} == {"training"}


def run(*losses: float, accuracy: float = 1.0) -> parity.Run:
    return parity.Run(losses, accuracy)


NULL = tuple(run(*(4.0 + n * 1e-3, 2.0, 1.0, 0.5 + n * 1e-2)) for n in range(4))


def judged(one: parity.Run, null: tuple[parity.Run, ...] = NULL) -> Any:
    found = parity.stretches(one, null)
    training = parity.Training(one.losses, one.accuracy, null[0].losses, found, len(null))
    return parity.verdict(training, null, "fused")


def test_what_no_null_run_can_explain_fails() -> None:
    """Nan, and a curve outside of the prediction interval; each quarter is named."""
    assert judged(run(4.0, 2.0, 1.0, 0.51)).verdict == "pass"
    beyond = judged(run(4.5, 2.0, 1.0, 0.51))
    assert [f.message[:12] for f in beyond.failures] == ["in quarter 1"]
    assert judged(run(4.0, 2.0, 1.0, float("nan"))).verdict == "fail"


def test_a_model_that_does_not_get_there_fails() -> None:
    """Even on the right curve."""
    assert judged(run(4.0, 2.0, 1.0, 0.51, accuracy=0.9)).verdict == "fail"


def test_a_task_that_nobody_learns_is_no_evidence() -> None:
    """And why is said."""
    hopeless = tuple(replace(one, accuracy=0.5) for one in NULL)
    found = judged(run(9.0, 9.0, 9.0, 9.0), hopeless)
    assert found.verdict == "none"
    assert "50.0%" in found.unsaid


def test_the_factor_is_the_quantile_that_it_is_said_to_be() -> None:
    """Student's t with 3 degrees of freedom, by simulation of its tail's closed form."""
    t = torch.tensor(parity.STUDENT_T, dtype=torch.float64)
    root = torch.tensor(3.0, dtype=torch.float64).sqrt()
    tail = 0.5 - (torch.atan(t / root) + t * root / (t**2 + 3)) / torch.pi
    assert float(tail) == pytest.approx(0.001 / 8, rel=0.01)


def test_the_next_token_follows_from_the_one_before_the_last() -> None:
    """And from no other; batches differ, and each is alike every time."""
    task = Task(B=64, M=20, seed=3, device="cpu")
    tokens, following = task.batch(0)
    assert torch.equal(tokens[:, 1:], following[:, :-1])
    known: dict[int, set[int]] = {}
    for given, then in zip(tokens[:, :-1].flatten(), certain(following).flatten(), strict=True):
        known.setdefault(int(given), set()).add(int(then))
    assert all(len(then) == 1 for then in known.values())
    assert len(known) == VOCABULARY
    assert torch.equal(task.batch(0)[0], tokens)
    assert not torch.equal(task.batch(1)[0][:, :LAG], tokens[:, :LAG])


@pytest.mark.parametrize("name", ["sdpa-flash", "sdpa-math", "eager"])
def test_a_backend_in_a_model_has_its_own_gradients(name: str) -> None:
    """What autograd sees equals plain autograd through SDPA."""
    case = CASE.edit(dtype="float32")
    given = make(case)
    results = []
    for attention in (
        exchanged(backends.load(name), given),
        lambda q, k, v: sdpa(q, k, v, is_causal=True),
    ):
        q, k, v = (t.clone().requires_grad_() for t in (given.q, given.k, given.v))
        out = attention(2 * q, k, v)
        results.append((out, *torch.autograd.grad(out, (q, k, v), given.dout)))
    for got, expected in zip(*results, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)


def test_other_cases_train_no_model() -> None:
    """And say so."""
    outcome = parity.answer(Subject(backends.load("eager"), make(CASE.edit(Mq=20))), "form")
    assert isinstance(outcome, Refused)


def test_views_show_the_curve() -> None:
    """In the terminal some points of it, in JSON all."""
    training = parity.Training((4.0, 2.0, 0.1), 1.0, (4.0, 2.0, 0.1), parity.stretches(*_two()), 4)
    outcome = Measured("form", judged(run(4.0, 2.0, 1.0, 0.51)), training=training)
    report = Report(command="check", records=(Record(Trial(CASE, "eager", "training"), outcome),))
    text = terminal.text(compose.check(report))
    assert "Does a model learn with it?" in text
    assert "100.0%" in text
    assert json_view.check(report)["training"][0]["outcome"]["training"]["losses"] == [
        4.0,
        2.0,
        0.1,
    ]


def _two() -> tuple[parity.Run, tuple[parity.Run, ...]]:
    return run(4.0, 2.0, 1.0, 0.51), NULL
