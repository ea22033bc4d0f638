"""One trial ends in one outcome, in the phase that it belongs to, whatever a backend does."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from attnprobe import profiles
from attnprobe.core.case import Case
from attnprobe.core.outcome import Measured, Outcome, Refused
from attnprobe.core.parity import Parity
from attnprobe.core.timing import Versus
from attnprobe.core.trial import Trial
from attnprobe.device import answer as module
from attnprobe.device import reference, remembered, room
from attnprobe.device.answer import answer
from attnprobe.device.backends import eager, load
from attnprobe.errors import UsageError

CASE = Case(B=1, Hq=2, Hkv=2, Mq=16, Mkv=16, K=16, Kv=16, dtype="float32")

USER = """
import torch
from torch.nn.functional import scaled_dot_product_attention as sdpa

def right(query, key, value, **kwargs):
    return sdpa(query, key, value, **kwargs)

def wrong_scale(query, key, value, **kwargs):
    return sdpa(query, key, value, scale=1.0)

def transposed(query, key, value, **kwargs):
    return sdpa(query, key, value, **kwargs).transpose(1, 2)

def raised_to_double(query, key, value, **kwargs):
    return sdpa(query, key, value, **kwargs).double()

def pair(query, key, value, **kwargs):
    return sdpa(query, key, value, **kwargs), None

def nothing(query, key, value, **kwargs):
    sdpa(query, key, value, **kwargs)

def on_meta(query, key, value, **kwargs):
    return sdpa(query, key, value, **kwargs).to("meta")

def writes(query, key, value, **kwargs):
    out = sdpa(query, key, value, **kwargs)
    with torch.no_grad():
        query.mul_(2)
    return out

def writes_in_graph(query, key, value, **kwargs):
    return sdpa(query.mul_(1.0), key, value, **kwargs)

def detached(query, key, value, **kwargs):
    return sdpa(query, key, value, **kwargs).detach()

def forgets_values(query, key, value, **kwargs):
    return sdpa(query, key, value.detach(), **kwargs)

def declines(query, key, value, **kwargs):
    raise NotImplementedError("head dims above 8 are not implemented")

def no_kernel(query, key, value, **kwargs):
    raise RuntimeError('"my_kernel" not implemented for \\'Float\\'')

def fails(query, key, value, **kwargs):
    raise IndexError("a bug of the user's own")

not_a_function = 3
"""


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """Spells one of the user's functions."""
    file: Path = tmp_path_factory.mktemp("user") / "mine.py"
    file.write_text(USER)
    return lambda name: f"{file}:{name}"


def ask(backend: str, case: Case = CASE, question: str = "check") -> Outcome:
    return answer(Trial(case, backend, question), lambda phase: None)


def failures(outcome: Outcome) -> set[str]:
    assert isinstance(outcome, Measured)
    assert outcome.parity is not None
    return {failure.kind for failure in outcome.parity.failures}


def test_a_rival_is_timed_outside_the_context_of_the_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Within the context that selects math, torch's own choice would be math, and the ratio 1."""
    enabled: list[bool] = []

    def versus(of: object, to: object, rival: str, *rest: object) -> Versus:
        enabled.append(torch.backends.cuda.flash_sdp_enabled())
        return Versus(rival)

    monkeypatch.setattr(module, "versus", versus)
    found = answer(Trial(CASE, "sdpa-math", "compare", rival="sdpa-default"), lambda phase: None)
    assert isinstance(found, Measured)
    assert found.versus == Versus("sdpa-default")
    assert enabled == [True]


def test_the_phases_are_announced_in_order() -> None:
    """The host knows what a child was doing when it died."""
    phases: list[str] = []
    answer(Trial(CASE, "eager", "time"), phases.append)
    expected = ["prepare", "forward", "backward", "reference", "verify", "weigh", "time"]
    assert phases == expected


def test_a_right_callable_passes(user: Callable[[str], str]) -> None:
    """Held to what a fused kernel may round."""
    outcome = ask(user("right"))
    assert isinstance(outcome, Measured)
    assert outcome.parity is not None
    assert outcome.parity.verdict == "pass"
    assert outcome.parity.contract == "fused_tc"


def test_a_callable_may_be_torch_s_own_kernel(user: Callable[[str], str]) -> None:
    """In 16 bits on a CPU it accumulates gradients in them: dv was off by 1.13 times its bound."""
    calls = profiles.load("check-quick").on("cpu", 3).calls
    case = next(
        c.case for c in calls if c.case.name == "causal+bias" and c.case.dtype == "bfloat16"
    )
    outcome = ask(user("right"), case)
    assert isinstance(outcome, Measured)
    assert outcome.parity is not None
    assert outcome.parity.verdict == "pass", outcome.parity.failures


@pytest.mark.parametrize(
    ("function", "kind"),
    [
        ("wrong_scale", "accuracy"),
        ("transposed", "shape"),
        ("raised_to_double", "dtype"),
        ("pair", "type"),
        ("nothing", "type"),
        ("on_meta", "device"),
        ("writes_in_graph", "inplace"),
        ("detached", "gradient_missing"),
        ("forgets_values", "gradient_missing"),
    ],
)
def test_each_way_to_be_wrong_has_its_name(
    user: Callable[[str], str], function: str, kind: str
) -> None:
    """A kernel's author reads what is wrong, not a traceback."""
    outcome = ask(user(function))
    assert kind in failures(outcome)
    assert isinstance(outcome, Measured)
    assert outcome.parity is not None
    assert outcome.parity.verdict == "fail"


def test_writing_into_an_input_is_named_and_spoils_nobody_else(user: Callable[[str], str]) -> None:
    """The next backend gets the same inputs all the same."""
    case = CASE.edit(passes="fwd")
    assert "inplace" in failures(ask(user("writes"), case))
    assert failures(ask("eager", case)) == set()


@pytest.mark.parametrize("function", ["declines", "no_kernel"])
def test_what_says_that_it_cannot_is_a_refusal(user: Callable[[str], str], function: str) -> None:
    """With its own words as the reason."""
    outcome = ask(user(function))
    assert isinstance(outcome, Refused)
    assert outcome.by == "library"
    assert "not implemented" in outcome.reasons[0]


def test_other_exceptions_are_left_to_the_caller(user: Callable[[str], str]) -> None:
    """The trial's boundary turns them into Raised with the phase."""
    with pytest.raises(IndexError):
        ask(user("fails"))


@pytest.mark.parametrize("name", ["nosuch.py:f", "mine:f", "eagre"])
def test_what_does_not_exist_is_the_users_mistake(name: str) -> None:
    """A file, a module, a backend."""
    with pytest.raises(UsageError):
        ask(name)


def test_what_is_no_function_is_the_users_mistake(user: Callable[[str], str]) -> None:
    """The file is there, the function is not."""
    with pytest.raises(UsageError):
        load(user("not_a_function"))


def test_a_case_that_does_not_fit_is_not_launched(monkeypatch: pytest.MonkeyPatch) -> None:
    """The estimate and what is free are both in the reason, and nothing was prepared."""
    monkeypatch.setattr(room, "free_bytes", lambda device: 1000)
    monkeypatch.setattr(eager.BACKEND, "prepare", lambda inputs: pytest.fail("prepared"))
    outcome = ask("eager")
    assert isinstance(outcome, Refused)
    assert outcome.by == "memory"
    assert "1000 B" in outcome.reasons[0]


def test_memory_that_nobody_can_tell_refuses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """An unknown is no reason."""
    monkeypatch.setattr(room, "free_bytes", lambda device: None)
    assert isinstance(ask("eager"), Measured)


def test_scores_that_are_held_count() -> None:
    """At 64k tokens a backend that materialises the scores needs more than one that does not."""
    long = CASE.edit(Mq=65536, Mkv=65536, Hq=8, Hkv=8)
    held, fused = room.lacking(long, True), room.lacking(long.edit(Mq=16, Mkv=16), False)
    assert held
    assert "score matrices" in held[0]
    assert not fused


def test_an_impossible_case_is_refused_with_every_problem() -> None:
    """Two mistakes, two reasons."""
    outcome = ask("eager", CASE.edit(Hkv=3, dropout_p=2.0))
    assert isinstance(outcome, Refused)
    assert outcome.by == "attnprobe"
    assert len(outcome.reasons) == 2


def test_a_missing_package_is_absent_and_a_defective_one_broken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two different words, two different remedies."""
    absent = ask("flash-attn-2")
    assert isinstance(absent, Refused)
    assert absent.by == "absent"

    def fail() -> None:
        raise ImportError("libfoo.so.12: cannot open shared object file")

    monkeypatch.setattr(eager.BACKEND, "available", fail)
    broken = ask("eager")
    assert isinstance(broken, Refused)
    assert broken.by == "broken"
    assert "libfoo" in broken.reasons[0]


def test_the_reference_is_computed_once_for_all_backends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three backends, one case, one reference."""
    remembered.forget()
    calls = []
    compute = reference.at_home
    monkeypatch.setattr(reference, "at_home", lambda i, r: calls.append(i) or compute(i, r))
    for backend in ("eager", "sdpa-math", "sdpa-flash"):
        ask(backend, CASE.edit(seed=77))
    assert len(calls) == 1


def test_time_comes_with_parity_of_the_same_case() -> None:
    """Forward, backward and the first call, beside the verdict."""
    outcome = ask("sdpa-flash", question="time")
    assert isinstance(outcome, Measured)
    assert outcome.parity is not None
    assert outcome.parity.verdict == "pass"
    assert outcome.timing is not None
    assert outcome.timing.first_call_s is not None
    assert outcome.timing.first_call_s > 0
    assert outcome.kernels


def test_what_is_wrong_is_not_timed(user: Callable[[str], str]) -> None:
    """A fast wrong answer has no speed."""
    outcome = ask(user("wrong_scale"), question="time")
    assert isinstance(outcome, Measured)
    assert outcome.timing is not None
    assert outcome.timing.fwd_s is None
    assert "wrong" in outcome.timing.withheld[0]


def test_another_kernel_than_the_one_asked_for_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The profiler's word counts, not the name of the backend."""
    monkeypatch.setattr(load("sdpa-flash"), "kernels", "no_such_kernel")
    outcome = ask("sdpa-flash", CASE.edit(seed=5), question="time")
    assert isinstance(outcome, Measured)
    assert "no_such_kernel" in outcome.unexpected_kernel


def test_kernels_are_looked_at_once_where_only_the_result_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first check of a backend, dtype and kind of mask; the next is spared the profiler."""
    monkeypatch.setattr(module, "kernels_seen", set())
    first, second = ask("sdpa-math"), ask("sdpa-math")
    assert isinstance(first, Measured)
    assert isinstance(second, Measured)
    assert first.kernels
    assert not second.kernels


def test_the_own_share_of_a_trial_is_below_five_milliseconds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With the reference at hand and the judge silenced, what is left is a tiny launch and we."""
    monkeypatch.setattr(module, "judge_under", lambda *_: Parity("pass", "cpu_flash"))
    seconds = []
    for _ in range(15):
        start = time.perf_counter()
        ask("sdpa-flash")
        seconds.append(time.perf_counter() - start)
    assert statistics.median(seconds) < 5e-3


def test_a_comparison_names_its_rival_and_every_pass() -> None:
    """Both run in the same rounds; there is a ratio for each pass; the verdict is its own."""
    trial = Trial(CASE, "sdpa-math", "compare", rival="eager")
    found = answer(trial, lambda phase: None)
    assert isinstance(found, Measured)
    assert found.parity is not None
    assert found.parity.verdict == "pass"
    assert found.versus is not None
    assert found.versus.rival == "eager"
    assert None not in (found.versus.fwd, found.versus.bwd, found.versus.fwd_bwd)


@pytest.mark.parametrize("wrong_one", ["backend", "rival"])
def test_what_is_wrong_is_compared_with_nothing(tmp_path: Path, wrong_one: str) -> None:
    """No ratio where either result is wrong, and why."""
    (tmp_path / "own.py").write_text(USER)
    wrong = f"{tmp_path / 'own.py'}:wrong_scale"
    backend, rival = (wrong, "eager") if wrong_one == "backend" else ("eager", wrong)
    found = answer(Trial(CASE, backend, "compare", rival=rival), lambda phase: None)
    assert isinstance(found, Measured)
    assert found.versus is not None
    assert found.versus.fwd is None
    assert "wrong" in found.versus.withheld[0]


def test_a_rival_that_is_not_there_is_said(tmp_path: Path) -> None:
    """The comparison is withheld with the rival's reason."""
    found = answer(Trial(CASE, "eager", "compare", rival="flash-attn-3"), lambda phase: None)
    assert isinstance(found, Measured)
    assert found.versus is not None
    assert found.versus.withheld[0].startswith("flash-attn-3: ")
