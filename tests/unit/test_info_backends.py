"""Launches add up to one fact per backend, and packed storage is tried where padded is refused."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from attnprobe import info
from attnprobe.core.backend_fact import Claim
from attnprobe.core.case import Case
from attnprobe.core.outcome import (
    Crashed,
    Measured,
    Outcome,
    OutOfMemory,
    Raised,
    Refused,
    TimedOut,
)
from attnprobe.core.parity import Failure, Parity
from attnprobe.core.trial import Record, Trial

RAN = Measured("plain", Parity("pass", "fused"))
WRONG = Measured(
    "plain", Parity("fail", "fused", failures=(Failure("accuracy", "dq is 9 times off"),))
)
NO = Refused("library", ("only half precision",))


def records(*outcomes: Outcome) -> list[Record]:
    """One record per element type and pass, in the order of the launch cases."""
    cases = info.launch_cases("cuda")
    return [Record(Trial(c, "x"), o) for c, o in zip(cases, outcomes, strict=False)]


@pytest.mark.parametrize(
    ("outcomes", "fact"),
    [
        ((NO, RAN, NO), "runs"),
        ((RAN, WRONG, RAN), "wrong"),
        ((NO, Raised("forward", "ValueError", "too many values to unpack"), NO), "raised"),
        ((NO, Crashed("forward", "SIGSEGV")), "crashed"),
        ((NO, TimedOut("forward", 60.0)), "timed_out"),
        ((OutOfMemory("forward", "no room"), NO), "out_of_memory"),
        ((NO, NO), "refused"),
        ((Refused("absent", ("not installed",)),), "absent"),
        ((Refused("broken", ("ImportError: undefined symbol",)),), "broken"),
    ],
)
def test_the_fact_is_what_got_furthest(outcomes: tuple[Outcome, ...], fact: str) -> None:
    """A refusal of one element type is no fault; one wrong launch is."""
    (found,) = info.backend_facts({"x": Claim(True)}, records(*outcomes))
    assert found.fact == fact
    assert len(found.launches) == len(outcomes)


@pytest.mark.parametrize(
    ("claim", "fact"),
    [
        (Claim(True), "not_run"),
        (Claim(None, error="No module named 'x'", absent=True), "absent"),
        (Claim(None, error="undefined symbol"), "broken"),
    ],
)
def test_without_a_launch_only_the_import_is_a_fact(claim: Claim, fact: str) -> None:
    """`--no-run` must not turn a claim into a fact."""
    (found,) = info.backend_facts({"x": claim}, [])
    assert found.fact == fact


def test_reasons_are_said_once_and_bring_the_fix() -> None:
    """Six refusals with one cause are one reason."""
    no = Refused("library", ("xFormers wasn't build with CUDA support",))
    (found,) = info.backend_facts({"x": Claim(True)}, records(no, no, no))
    assert found.reasons == ("xFormers wasn't build with CUDA support",)
    assert "CUDA version of this torch" in found.fix


def test_what_stands_in_the_way_everywhere_comes_first() -> None:
    """A reason that concerns one element type follows the one that concerns all."""
    half = Refused("library", ("only half precision", "not built"))
    (found,) = info.backend_facts(
        {"x": Claim(True)}, records(half, Refused("library", ("not built",)))
    )
    assert found.reasons == ("not built", "only half precision")


def test_a_refusal_is_explained_for_the_plain_case() -> None:
    """Where both storages are refused, what is wrong with the packed one is beside the point."""
    case = info.launch_cases("cuda")[0]
    packed = info.launch_cases("cuda", "packed")[0]
    both = [
        Record(Trial(case, "x"), Refused("library", ("not built",))),
        Record(Trial(packed, "x"), Refused("library", ("no packed storage",))),
    ]
    (found,) = info.backend_facts({"x": Claim(True)}, both)
    assert found.reasons == ("not built",)


def test_a_backend_that_runs_needs_no_fix() -> None:
    """It refuses float32, which nobody needs to mend."""
    no = Refused("library", ("only half precision",), fix="use bfloat16")
    (found,) = info.backend_facts({"x": Claim(True)}, records(no, RAN))
    assert (found.fact, found.fix) == ("runs", "")


def test_why_it_is_wrong_is_a_reason() -> None:
    """The failures of the comparison are quoted."""
    (found,) = info.backend_facts({"x": Claim(True)}, records(WRONG))
    assert found.reasons == ("accuracy: dq is 9 times off",)


def packed_only(trial: Trial) -> Outcome:
    """A variable-length kernel: `varlen` refuses padded storage, `sdpa` takes it, `gone` is absent."""
    if trial.backend == "gone":
        return Refused("absent", ("not installed",))
    if trial.backend == "varlen" and trial.case.storage == "padded":
        return Refused("attnprobe", ("takes packed sequences only",))
    return RAN


def test_packed_storage_is_offered_to_those_that_refuse_padded() -> None:
    """And only to those: what is absent refuses both alike."""
    asked: list[Trial] = []

    def run(trials: Sequence[Trial]) -> list[Record]:
        asked.extend(trials)
        return [Record(trial, packed_only(trial)) for trial in trials]

    claims = {name: Claim(True) for name in ("sdpa", "varlen", "gone")}
    claims["missing"] = Claim(None, error="No module named 'x'", absent=True)
    found = info.backend_facts(claims, info.prove(run, claims, "cuda"))
    assert [fact.fact for fact in found] == ["runs", "runs", "absent", "absent"]
    assert "missing" not in {trial.backend for trial in asked}
    assert {t.backend for t in asked if t.case.storage == "packed"} == {"varlen"}
    assert found[1].reasons == ()
    assert len(found[1].launches) == len(info.launch_cases("cuda"))


@pytest.mark.parametrize("storage", ["padded", "packed"])
def test_launch_cases_are_sound_and_cover_types_and_passes(storage: str) -> None:
    """Three element types, forward and both, each a case that describes an attention call."""
    cases: list[Case] = info.launch_cases("cpu", storage)  # type: ignore[arg-type]  # a parameter
    assert {(c.dtype, c.passes) for c in cases} == {
        (d, p) for d in ("float32", "bfloat16", "float16") for p in ("fwd", "fwd+bwd")
    }
    assert all(not case.problems and case.storage == storage for case in cases)
