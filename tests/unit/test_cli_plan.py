"""Which trials a command runs, and what their records amount to."""

from __future__ import annotations

import pytest

from attnprobe import plan
from attnprobe.core.outcome import Measured, OutOfMemory, Raised, Refused
from attnprobe.core.parity import Parity, Verdict
from attnprobe.core.report import Report
from attnprobe.core.trial import Record, Trial
from attnprobe.errors import UsageError
from attnprobe.workload import Workload, parse

WORKLOAD = parse(
    """
    name: w
    defaults: {Hq: 2, Mq: 8, K: 8, dtype: [float32, bfloat16]}
    cases:
      - {name: none}
      - {name: biased, bias: {shape: "1,H,M,N"}}
      - {name: causal, mask: causal}
      - {name: mixed, mask: "causal(align=top-left) & dilated(step=2, align=top-left)"}
      - {name: other, device: cuda, dtype: float16}
    """,
    "w.yaml",
)


def names(workload: Workload) -> list[str]:
    return list(dict.fromkeys(case.name for case in workload.cases))


@pytest.mark.parametrize(
    ("asked", "chosen"),
    [
        ([], ["none", "biased", "causal", "mixed", "other"]),
        (["none"], ["none"]),
        (["causal"], ["causal"]),
        (["dilated"], ["mixed"]),
        (["causal(align=top-left)"], ["causal"]),
        (["biased", "dilated"], ["biased", "mixed"]),
    ],
)
def test_masks_are_chosen_by_name_then_by_family(asked: list[str], chosen: list[str]):
    """A case's name wins; what no case is called may be a mask's family or its whole spelling."""
    assert names(plan.choose(WORKLOAD, asked, [])) == chosen


def test_dtypes_are_chosen():
    """Only cases of that element type are left."""
    assert {case.dtype for case in plan.choose(WORKLOAD, [], ["float32"]).cases} == {"float32"}


@pytest.mark.parametrize(
    ("masks", "dtypes", "words"),
    [
        (["cauzal"], [], "did you mean causal"),
        ([], ["float23"], "did you mean float32"),
        (["causal"], ["float16"], "no case of w is left"),
    ],
)
def test_a_choice_that_fits_nothing_is_bad_usage(masks: list, dtypes: list, words: str):
    """Near matches for a name, the contradiction for an empty choice."""
    with pytest.raises(UsageError) as caught:
        plan.choose(WORKLOAD, masks, dtypes)
    assert words in str(caught.value)


def test_a_device_without_cases_is_bad_usage():
    """The user learns which devices the cases are for."""
    gpu_only = plan.choose(WORKLOAD, ["other"], [])
    assert [call.case.device for call in plan.place(gpu_only, "cuda", 0)] == ["cuda"]
    with pytest.raises(UsageError, match="meant for cpu"):
        plan.place(gpu_only, "cpu", 0)


def test_trials_of_a_case_follow_each_other():
    """All backends of one case, then the next case: the reference is computed once."""
    calls = plan.place(WORKLOAD, "cpu", 0)[:2]
    ordered = [(t.case.id, t.backend) for t in plan.trials(calls, ["a", "b"], "check")]
    assert ordered == [(call.case.id, backend) for call in calls for backend in ("a", "b")]


def measured(verdict: Verdict) -> Measured:
    return Measured("form", Parity(verdict, "fused"))


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        (measured("pass"), 0),
        (measured("no_power"), 0),
        (measured("fail"), 1),
        (Measured("form"), 0),
        (Refused("library", ("no",)), 0),
        (Raised("forward", "RuntimeError", "boom"), 0),
        (OutOfMemory("forward", "too much"), 0),
    ],
)
def test_only_a_wrong_result_is_a_bad_answer(outcome, code: int):
    """A backend that refuses or breaks is reported; a backend that is wrong fails the run."""
    right = Record(Trial(WORKLOAD.cases[0], "eager"), measured("pass"))
    other = Record(Trial(WORKLOAD.cases[1], "eager"), outcome)
    assert plan.verdict(Report(records=(right, other))) == code


@pytest.mark.parametrize(("name", "code"), [("sdpa-flash", 0), ("mine.py:attention", 1)])
def test_what_the_user_named_himself_must_come_back(name: str, code: int):
    """A library that raises is an answer; one's own kernel that raises is broken."""
    case = WORKLOAD.cases[0]
    for outcome in (Raised("forward", "ValueError", "no"), OutOfMemory("forward", "no")):
        record = Record(Trial(case, name), outcome)
        assert plan.verdict(Report(records=(record,))) == code
    refused = Record(Trial(case, name), Refused("library", ("no",)))
    assert plan.verdict(Report(records=(refused,))) == 0
