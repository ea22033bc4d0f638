"""Who is timed and compared with whom, and what one answer makes profile ask next."""

from __future__ import annotations

import pytest

from attnprobe import session
from attnprobe.core.case import Case
from attnprobe.core.outcome import Outcome, Refused
from attnprobe.core.sampling import DEFAULT
from attnprobe.core.trial import Record, Trial
from attnprobe.device import modules
from attnprobe.errors import UsageError
from attnprobe.profiling import contestants, duration, questions
from attnprobe.profiling.contestants import Contestants
from attnprobe.session.lines import Header
from attnprobe.workload import Call
from tests.fakes import FakeWorker
from tests.profiling.cases import CASE, measured

WHO = Contestants(("eager", "sdpa-default", "sdpa-flash"))
SMALL = CASE.edit(device="cpu", Mq=64, Mkv=64)


def asked(who: Contestants, *answers: tuple[str, Outcome], case: Case = CASE) -> list[str]:
    """Question, backend and rival of every trial that a run asks for."""
    outcomes = dict(answers)
    calls = [Call(case)]
    worker = FakeWorker(lambda trial: outcomes.get(trial.backend, measured(1e-3)))
    further = questions.Further(calls, who)
    journal = session.Journal(Header("profile"))
    session.run(questions.timings(calls, who), worker, journal, follow_up=further)
    return [" ".join(filter(None, (t.question, t.backend, t.rival))) for t in worker.asked]


def test_the_rival_is_timed_first_and_each_other_compared_with_it() -> None:
    """A comparison follows its timing at once: the child still has the case."""
    assert asked(WHO) == [
        "time sdpa-default",
        "time eager",
        "compare eager sdpa-default",
        "time sdpa-flash",
        "compare sdpa-flash sdpa-default",
    ]


def test_a_wrong_backend_is_compared_with_nobody() -> None:
    """Its time says nothing."""
    found = asked(WHO, ("eager", measured(1e-3, verdict="fail")))
    assert "compare eager sdpa-default" not in found
    assert "compare sdpa-flash sdpa-default" in found


def test_nobody_is_compared_with_a_wrong_rival() -> None:
    """Nor with one that was refused."""
    for outcome in (measured(1e-3, verdict="fail"), Refused("library", ("no",))):
        assert not [t for t in asked(WHO, ("sdpa-default", outcome)) if t.startswith("compare")]


def test_on_a_cpu_memory_is_a_question_of_its_own() -> None:
    """Asked of a fresh child, after every timing that is right."""
    found = asked(Contestants(("eager",)), case=SMALL)
    assert found == ["time eager", "fits eager"]


def test_a_refused_backward_is_timed_forward() -> None:
    """As everywhere."""
    calls = [Call(CASE)]
    further = questions.Further(calls, WHO)
    refused = Record(Trial(CASE, "eager", "time"), Refused("library", ("no backward here",)))
    (again,) = further(refused)
    assert again.case.passes == "fwd"
    assert again.question == "time"


def test_a_resumed_run_asks_what_an_earlier_one_left_open() -> None:
    """The records of an earlier run raise their comparisons too."""
    calls = [Call(CASE)]
    journal = session.Journal(Header("profile"))
    first = FakeWorker(lambda trial: measured(1e-3))
    session.run(questions.timings(calls, WHO), first, journal)  # cut off before any follow-up
    again = FakeWorker(lambda trial: measured(1e-3))
    further = questions.Further(calls, WHO)
    session.run(questions.timings(calls, WHO), again, journal, follow_up=further)
    assert [trial.question for trial in again.asked] == ["compare", "compare"]


def test_a_resumed_run_follows_a_chain_of_questions() -> None:
    """A refused backward, then the forward alone, then its memory: cut off before the last one."""
    calls, who = [Call(SMALL)], Contestants(("flex",))
    alone = SMALL.edit(passes="fwd")
    journal = session.Journal(Header("profile"))
    journal.record(Record(Trial(SMALL, "flex", "time"), Refused("library", ("no backward",))))
    journal.record(Record(Trial(alone, "flex", "time"), measured(1e-3)))
    worker = FakeWorker(lambda trial: measured(1e-3))
    session.run(
        questions.timings(calls, who), worker, journal, follow_up=questions.Further(calls, who)
    )
    assert worker.asked == [Trial(alone, "flex", "fits")]


def test_the_rival_is_the_users_own_backend() -> None:
    """Named on the command line, else in the workload, else torch's choice; none is nobody."""
    own = Call(CASE, backend="eager")
    assert WHO.rival(Call(CASE)) == "sdpa-default"
    assert WHO.rival(own) == "eager"
    assert Contestants(WHO.backends, against="sdpa-flash").rival(own) == "sdpa-flash"
    assert Contestants(WHO.backends, against="none").rival(own) == ""
    assert Contestants(("eager", "sdpa-flash")).rival(Call(CASE)) == ""


def test_a_named_rival_is_timed_too() -> None:
    """Even where --backend leaves it out."""
    chosen = contestants.choose([Call(CASE)], ["eager"], "sdpa-math")
    assert set(chosen.backends) == {"eager", "sdpa-math"}
    with pytest.raises(UsageError):
        contestants.choose([Call(CASE)], [], "nosuch")


def test_a_layer_is_timed_by_its_variants() -> None:
    """They take the place of backends, and a name may choose among them."""
    layer = modules.names()[0]
    variants = modules.variants(layer)
    calls = [Call(CASE.edit(module=layer))]
    assert contestants.choose(calls, []).of(calls[0]) == variants
    assert contestants.choose(calls, []).backends == ()
    assert contestants.choose(calls, [variants[-1]]).of(calls[0]) == variants[-1:]


def test_a_narrower_interval_gets_more_time() -> None:
    """Half the width costs four times the budget; the default is the default."""
    assert questions.sampling(2.0, warm=False) == DEFAULT
    assert questions.sampling(1.0, warm=False).budget_s == pytest.approx(4 * DEFAULT.budget_s)
    assert questions.sampling(2.0, warm=True).warm


def test_a_large_case_gets_the_time_for_an_interval() -> None:
    """A case of a second on this device gets more than the usual half second; a small one does not."""
    large = CASE.edit(device="cpu", Mq=2048, Mkv=2048)
    assert duration.roomy(DEFAULT, SMALL) == DEFAULT
    assert duration.roomy(DEFAULT, large).budget_s > 10 * DEFAULT.budget_s


def test_what_takes_long_is_expected_to_take_long() -> None:
    """More trials and larger cases take longer; a trial never longer than its deadline."""
    one = [Trial(SMALL, "eager", "time")]
    two = [*one, Trial(SMALL, "sdpa-math", "time")]
    huge = [Trial(SMALL.edit(Mq=2**17, Mkv=2**17), "eager", "time")]
    assert 0 < duration.expected_s(one) < duration.expected_s(two) < 5
    assert duration.expected_s(huge) > 60
