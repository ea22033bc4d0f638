"""Every pitfall file: it says what it must, suspects its pair, and can reach each of the verdicts."""

from __future__ import annotations

import re
from collections import Counter
from typing import get_args

import pytest

from attnprobe import pitfalls, session
from attnprobe.core.diagnosis import Finding, Severity, Suspicion, Verdict
from attnprobe.device import habits
from attnprobe.diagnosis.judge import judge
from attnprobe.diagnosis.questions import paired, trials
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.session.journal import Journal
from attnprobe.session.lines import Header
from tests.fakes import FakeWorker
from tests.pitfalls import pairs
from tests.pitfalls.outcomes import Scripted

NAMES = pitfalls.names()
SECTIONS = ("What happens.", "Why.", "Experiment.", "Remedy.", "Versions.")


@pytest.mark.parametrize("name", NAMES)
def test_a_page_has_all_its_sections(name: str) -> None:
    """`explain` shows the docstring: a title, then what, why, experiment, remedy, versions."""
    page = pitfalls.page(name)
    assert page.splitlines()[0].endswith(".")
    assert not page.splitlines()[1]
    found = re.findall(r"^\*\*(.+?)\*\*", page, re.MULTILINE)
    assert [section for section in found if section in SECTIONS] == list(SECTIONS)


@pytest.mark.parametrize("name", NAMES)
def test_a_rule_names_its_severity_its_fix_and_its_sources(name: str) -> None:
    """A finding without a source or a fix is gossip."""
    rule = pitfalls.load(name)
    assert isinstance(rule, Pitfall)
    assert rule.severity in get_args(Severity)
    assert rule.references
    assert rule.fix


def test_codes_are_unique() -> None:
    """A code names one rule for ever."""
    counts = Counter(pitfalls.load(name).code for name in NAMES)
    assert [code for code, count in counts.items() if count > 1] == []


def test_every_habit_is_looked_for_by_a_rule() -> None:
    """A habit that no pair of a rule has would be accepted in workloads and mean nothing."""
    found = {
        habit for name in NAMES for call in pairs.load(name).workload.calls for habit in call.habits
    }
    assert set(habits.names()) - found == set()


@pytest.mark.parametrize("name", NAMES)
def test_the_pair_is_told_apart(name: str) -> None:
    """Each one that has it is suspected, with a prediction."""
    pair = pairs.load(name)
    for device in pairs.devices(name):
        found = pair.suspected("has", device)
        planted = {s.case for s in pair.on("has", device) if s.case.name == "has"}
        if not pitfalls.load(name).once:
            assert {suspicion.subject.case for suspicion in found} == planted
        for suspicion in found:
            assert suspicion.why
            assert suspicion.prediction is not None
            assert suspicion.prediction.because
            assert (suspicion.experiment is None) == bool(suspicion.untestable)


@pytest.mark.parametrize("verdict", ["confirmed", "refuted", "inconclusive"])
@pytest.mark.parametrize("name", NAMES)
def test_each_verdict_can_be_reached(name: str, verdict: Verdict) -> None:
    """With outcomes that fit the prediction, contradict it, or leave it open."""
    for device in pairs.devices(name):
        suspicion = pairs.load(name).suspected("has", device)[0]
        if suspicion.experiment is None:
            pytest.skip(f"tried on other machines only: {suspicion.untestable}")
        finding = _made(suspicion, verdict)
        assert finding.verdict == verdict, finding.reason


def _made(suspicion: Suspicion, verdict: Verdict) -> Finding:
    worker, journal = FakeWorker(Scripted(suspicion, verdict)), Journal(Header("diagnose"))
    session.run(trials(suspicion), worker, journal)
    session.run(paired([suspicion], journal.done), worker, journal)
    return judge(suspicion, journal.done)
