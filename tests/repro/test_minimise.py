"""The search ends at the smallest case that fails alike, and keeps its bounds."""

from __future__ import annotations

from collections.abc import Callable

from attnprobe import masks
from attnprobe.core.case import Case, Lengths
from attnprobe.core.outcome import Crashed, Measured, Outcome
from attnprobe.core.parity import Failure, Parity
from attnprobe.core.score import Bias, Score
from attnprobe.core.trial import Record, Trial
from attnprobe.minimise import Minimised, minimise

LARGE = Case(
    4, 8, 2, 130, 130, 64, 64, mask=masks.parse("sliding-window(left=31, right=0, align=top-left)"),
    score=Score(bias=Bias(requires_grad=True), softcap=20.0), layout="BMHK", family="outlier-channels",
)  # fmt: skip
WRONG = Measured("", Parity("fail", "fused", failures=(Failure("leak", "a leak"),)))
OTHER = Measured("", Parity("fail", "fused", failures=(Failure("shape", "a shape"),)))
RIGHT = Measured("", Parity("pass", "fused"))


def search(fails: Callable[[Case], Outcome], case: Case = LARGE, **bounds: float) -> Minimised:
    first = Record(Trial(case, "mine"), fails(case))
    found = minimise(first, lambda t: Record(t, fails(t.case)), **bounds)  # type: ignore[arg-type]
    assert isinstance(found, Minimised)
    return found


def test_everything_that_does_not_matter_goes():
    """A failure that is always there ends at one by one by one, with nothing added."""
    case = search(lambda case: WRONG).record.trial.case
    assert case == Case(1, 1, 1, 1, 1, 1, 1, passes="fwd", seed=LARGE.seed)


def test_sizes_are_exact():
    """Sizes end at the very smallest that fails, not at a power of two."""
    found = search(lambda c: WRONG if c.Mkv >= 37 and c.K >= 5 and c.B >= 3 else RIGHT)
    case = found.record.trial.case
    assert (case.Mkv, case.K, case.B, case.Mq, case.Hq) == (37, 5, 3, 1, 1)


def test_what_matters_stays():
    """Grouped heads, a bias's gradient and a window of four keys are kept where they are needed."""

    def fails(case: Case) -> Outcome:
        window = case.mask.left is not None and case.mask.left >= 3
        return WRONG if case.groups > 1 and case.wants_bias_grad and window else RIGHT

    case = search(fails).record.trial.case
    assert (case.groups, case.Hkv, case.mask.left, case.wants_bias_grad) == (2, 1, 3, True)


def test_the_kind_of_failure_is_kept():
    """A smaller case that fails in another way is no smaller case of this failure."""
    found = search(lambda c: WRONG if c.Mq >= 20 else OTHER)
    assert found.record.trial.case.Mq == 20


def test_lengths_shrink_one_by_one():
    """Of packed sequences only the one that matters is left, as short as it can be."""
    case = LARGE.edit(score=Score(), lengths=Lengths((67, 1, 130, 9), (67, 5, 130, 9), "packed"))

    def fails(case: Case) -> Outcome:
        odd = case.lengths is not None and max(case.lengths.kv) >= 50
        return WRONG if odd else RIGHT

    small = search(fails, case).record.trial.case
    assert small.lengths is not None
    assert small.lengths.kv == (50,)


def test_the_bound_on_trials_is_kept():
    """After so many trials the best so far is given, with the reason."""
    asked = []

    def fails(case: Case) -> Outcome:
        asked.append(case)
        return WRONG

    found = search(fails, trials=5)
    assert found.tried == 5
    assert "5 trials" in found.unfinished
    assert len(asked) == 7  # the first record, five trials, and the last once more


def test_the_bound_on_time_is_kept():
    """No trial is begun when the time is over."""
    first = Record(Trial(LARGE, "mine"), WRONG)
    found = minimise(first, lambda t: Record(t, WRONG), trials=10_000, seconds=-1.0)
    assert isinstance(found, str)


def test_what_does_not_show_here_is_not_shrunk():
    """A crash elsewhere that is right here is told, and nothing else is tried."""
    first = Record(Trial(LARGE, "mine"), Crashed("forward", "SIGSEGV"))
    asked: list[Trial] = []

    def ask(trial: Trial) -> Record:
        asked.append(trial)
        return Record(trial, RIGHT)

    assert "crashed SIGSEGV" in str(minimise(first, ask))
    assert len(asked) == 1


def test_nobody_explains_while_it_shrinks():
    """Explanations take seconds: only the case that is left is asked as the user asked."""
    asked: list[str] = []

    def ask(trial: Trial) -> Record:
        asked.append(trial.question)
        return Record(trial, WRONG)

    found = minimise(Record(Trial(LARGE, "mine", "time"), WRONG), ask)
    assert isinstance(found, Minimised)
    assert (set(asked[:-1]), asked[-1]) == ({"verdict"}, "time")
    assert found.record.trial.question == "time"


def test_what_does_not_last_is_not_believed():
    """A case that fails only while it shrinks (a hang that is merely slow) is not given for the bug."""
    first = Record(Trial(LARGE, "mine"), WRONG)
    found = minimise(first, lambda t: Record(t, WRONG), confirm=lambda t: Record(t, RIGHT))
    assert "ended otherwise" in str(found)
