"""Every published bug keeps the same promises, and every outcome is read as it should be."""

from __future__ import annotations

import importlib
import re
from dataclasses import replace

import pytest

from attnprobe import known_bugs
from attnprobe.core.backend_fact import BackendFact, Claim
from attnprobe.core.environment import Environment, Gpu, Package, Torch
from attnprobe.core.outcome import Crashed, Measured, Outcome, Raised, Refused, TimedOut
from attnprobe.core.parity import Failure, Parity
from attnprobe.core.report import Report
from attnprobe.core.trial import Record, Trial
from attnprobe.device import backends
from attnprobe.known_bugs import KnownBug
from attnprobe.report import compose, json_view, terminal

HOPPER = Environment(
    attnprobe="0",
    python="3.12",
    os="Linux",
    cpu="cpu",
    cores=2,
    gpus=(Gpu(0, "uuid", "H200", capability=(9, 0)),),
    packages=(Package("xformers", "0.0.35"),),
    torch=Torch("2.11.0+cu130", cuda="13.0", cudnn="9.19.0"),
)
BLACKWELL = replace(HOPPER, gpus=(Gpu(0, "uuid", "B200", capability=(10, 0)),))
CPU = replace(HOPPER, gpus=(), torch=Torch("2.13.0"), packages=())

RIGHT = Measured("form", Parity("pass", "fused"))
BUGS = [pytest.param(known_bugs.load(name), id=name) for name in known_bugs.names()]


def fails(*kinds: str) -> Measured:
    failures = tuple(Failure(kind, f"{kind} seen") for kind in kinds)
    return Measured("form", Parity("fail", "fused", failures=failures))


SYMPTOMS: tuple[Outcome, ...] = (
    fails("nonfinite"),
    fails("accuracy"),
    fails("empty_rows"),
    Raised("forward", "RuntimeError", "CUDA error: an illegal memory access was encountered"),
    Raised("forward", "RuntimeError", "CUDA error: invalid configuration argument"),
    Raised("forward", "NotImplementedError", "Unsupported attn_bias type"),
)


def session(bug: KnownBug, suspects: Outcome, controls: Outcome = RIGHT) -> tuple[Record, ...]:
    return (
        *(Record(trial, suspects) for trial in bug.suspects),
        *(Record(trial, controls) for trial in bug.controls),
    )


def test_there_are_at_least_fifteen() -> None:
    """And each has a file of its own."""
    assert len(known_bugs.names()) >= 15


@pytest.mark.parametrize("bug", BUGS)
def test_every_bug_names_its_sources(bug: KnownBug) -> None:
    """As `repository#number`, and as an address in the file's docstring."""
    name = next(n for n in known_bugs.names() if known_bugs.load(n) is bug)
    said = importlib.import_module(f"attnprobe.known_bugs.{name.replace('-', '_')}").__doc__ or ""
    for source in bug.sources:
        assert re.fullmatch(r"[\w/.-]+#\d+", source)
        assert source.partition("#")[2] in said
    assert "https://" in said


@pytest.mark.parametrize("bug", BUGS)
def test_every_trial_can_be_asked(bug: KnownBug) -> None:
    """Its case is sound, its backend is there, and it asks as a known bug."""
    for trial in bug.trials:
        assert trial.case.problems == ()
        assert ":" in trial.backend or trial.backend in backends.names()
        assert trial.question == known_bugs.QUESTION


@pytest.mark.parametrize("bug", BUGS)
def test_some_outcome_means_yes_and_names_what_was_seen(bug: KnownBug) -> None:
    """With controls that are right."""
    answers = [bug.judge(session(bug, symptom)) for symptom in (*SYMPTOMS, RIGHT)]
    seen = [answer for answer in answers if answer.affected == "yes"]
    assert seen
    assert all(answer.reason for answer in seen)


@pytest.mark.parametrize("bug", BUGS)
def test_some_outcome_means_no(bug: KnownBug) -> None:
    """A right result, or a refusal where the call should be refused."""
    refusal = Refused("library", ("key and value differ in length",))
    answers = {bug.judge(session(bug, outcome)).affected for outcome in (RIGHT, refusal)}
    assert "no" in answers


@pytest.mark.parametrize("bug", BUGS)
def test_what_did_not_run_is_no_answer(bug: KnownBug) -> None:
    """Memory, time, and a session that holds none of its trials."""
    for outcome in (Refused("memory", ("11 GB",)), TimedOut("forward", 60.0)):
        answer = bug.judge(session(bug, outcome))
        assert answer.affected == "cannot tell"
        assert answer.reason
    assert bug.judge(()).affected == "cannot tell"


@pytest.mark.parametrize("bug", [b for b in BUGS if b.values[0].controls])
def test_a_control_that_shows_the_symptom_means_another_bug(bug: KnownBug) -> None:
    """Whatever the suspects show then."""
    for symptom in SYMPTOMS:
        if bug.judge(session(bug, symptom)).affected == "yes":
            assert bug.judge(session(bug, symptom, symptom)).affected == "cannot tell"


def test_a_convention_is_a_bug_to_those_who_know_it_as_one() -> None:
    """NaN in rows without keys, though the trial passes by what the backend declares."""
    convention = Measured("form", Parity("pass", "unfused", empty_rows="nan"))
    bug = known_bugs.load("mha-weights-empty-rows")
    assert bug.judge(session(bug, convention)).affected == "yes"


def test_an_absent_package_has_no_bugs() -> None:
    """The answer is no, with that reason."""
    answer = known_bugs.load("fa4-small-head-dim").judge(
        session(known_bugs.load("fa4-small-head-dim"), Refused("absent", ("no module flash_attn",)))
    )
    assert answer == known_bugs.Answer("no", "not installed: no module flash_attn")


def test_death_of_the_child_is_a_symptom_of_a_crasher() -> None:
    """And not of a bug that shows in numbers."""
    died = Crashed("backward", signal="SIGSEGV")
    crasher = known_bugs.load("mem-efficient-mask-gradient-alone")
    assert crasher.judge(session(crasher, died)).affected == "yes"
    silent = known_bugs.load("cudnn-mask-tail-nan")
    assert silent.judge(session(silent, died)).affected == "cannot tell"


@pytest.mark.parametrize(
    ("name", "environment", "expected"),
    [
        ("cudnn-mask-tail-nan", HOPPER, True),
        ("cudnn-mask-tail-nan", BLACKWELL, False),
        ("cudnn-mask-tail-nan", CPU, False),
        ("cudnn-one-query-nan", HOPPER, False),
        ("cudnn-few-kv-heads", BLACKWELL, True),
        ("flex-jagged", HOPPER, True),
        ("flex-jagged", CPU, False),
        ("sdpa-empty-rows", CPU, False),
        ("xformers-triangular-bias", HOPPER, True),
        ("xformers-triangular-bias", CPU, False),
        ("mha-fast-path-empty-rows", replace(CPU, torch=Torch("unknown")), None),
    ],
)
def test_ranges_are_held_against_the_machine(
    name: str, environment: Environment, expected: bool | None
) -> None:
    """Versions of torch, cuDNN and packages, and the GPU's generation."""
    assert known_bugs.load(name).affected_versions(environment) is expected


def report(environment: Environment, device: str, outcome: Outcome) -> Report:
    """Controls are right."""
    bugs = [known_bugs.load(name) for name in known_bugs.names()]
    controls = {trial.id for bug in bugs for trial in bug.controls}
    records = tuple(
        Record(trial, RIGHT if trial.id in controls else outcome)
        for trial in known_bugs.trials(device)
    )
    return Report(command="check", environment=environment, records=records)


def test_bugs_of_a_gpu_are_not_on_a_machine_without_one() -> None:
    """Where there is one and nothing was run on it, that cannot be told."""
    without = {f.name: f.answer for f in known_bugs.findings(report(CPU, "cpu", RIGHT))}
    unasked = {f.name: f.answer for f in known_bugs.findings(report(HOPPER, "cpu", RIGHT))}
    assert without["grid-limit"].affected == "no"
    assert "no GPU" in without["grid-limit"].reason
    assert unasked["grid-limit"].affected == "cannot tell"


@pytest.mark.parametrize(("absent", "expected"), [(True, "no"), (False, "cannot tell")])
def test_a_backend_that_cannot_be_imported_was_not_asked(absent: bool, expected: str) -> None:
    """Absent, it has no bugs; broken, nobody knows."""
    found = report(HOPPER, "cuda", RIGHT)
    claim = Claim(None, error="no flash_attn.cute", absent=absent)
    fact = BackendFact("flash-attn-4", "flash-attn-4", "", claim, "absent")
    records = tuple(r for r in found.records if r.trial.backend != "flash-attn-4")
    found = replace(found, records=records, backends=(fact,))
    answer = {f.name: f.answer for f in known_bugs.findings(found)}["fa4-head-dim-256"]
    assert answer.affected == expected
    assert "no flash_attn.cute" in answer.reason


def test_one_of_two_backends_that_is_missing_leaves_the_other() -> None:
    """Varlen without flash-attn is still answered for."""
    bug = known_bugs.load("varlen-tail-gradients")
    records = [r for r in session(bug, RIGHT) if r.trial.backend == "varlen"]
    assert bug.judge(records, {"flash-attn-2"}).affected == "no"
    assert bug.judge(records).affected == "cannot tell"


def test_with_backends_only_their_bugs_are_asked() -> None:
    """And the others are not reported on."""
    trials = known_bugs.trials("cpu", ["mha-fast-path"])
    assert {trial.backend for trial in trials} == {"mha-fast-path"}
    only = Report(environment=HOPPER, records=tuple(Record(t, RIGHT) for t in trials))
    of_cpu = [f.name for f in known_bugs.findings(only) if f.bug.suspects[0].case.device == "cpu"]
    assert of_cpu == ["mha-fast-path-empty-rows"]


def test_a_session_that_did_not_ask_says_nothing() -> None:
    """The same cases checked for another reason are no search for bugs."""
    trials = known_bugs.trials("cuda")
    records = tuple(Record(Trial(t.case, t.backend), RIGHT) for t in trials)
    assert known_bugs.findings(Report(environment=HOPPER, records=records)) == ()


def test_every_view_shows_what_was_found() -> None:
    """Name, source, range, answer and reason."""
    found = report(HOPPER, "cuda", fails("empty_rows"))
    text = terminal.text(compose.check(found))
    assert "Known bugs" in text
    for words in ("mha-fast-path", "pytorch#190486", "yes", "empty_rows seen", "set_fastpath"):
        assert words in text.replace("\n", "")
    listed = {bug["name"]: bug for bug in json_view.check(found)["known_bugs"]}
    assert set(listed) == set(known_bugs.names())
    assert listed["mha-fast-path-empty-rows"]["affected"] == "yes"
