"""The search for the longest sequence: it finds the limit, whatever the limit is."""

from __future__ import annotations

import pytest

from attnprobe.core.outcome import Measured, Outcome, OutOfMemory, Raised, Refused, TimedOut
from attnprobe.core.timing import Timing
from attnprobe.core.trial import Record, Trial
from attnprobe.profiling import longest
from attnprobe.profiling.longest import CLOSE, Search
from attnprobe.report.compose.longest import longest as found_in
from attnprobe.workload import Call
from tests.profiling.cases import CASE, report

RAN = Measured("is_causal", timing=Timing(peak_bytes=2**30))
FULL = OutOfMemory("forward", "CUDA out of memory. Tried to allocate 1 GiB")


def search(limit: int, beyond: Outcome = FULL, start: int = 512) -> tuple[Search, list[Record]]:
    """Runs a search on a machine where `limit` is the longest that runs."""
    hunt = Search(CASE.edit(Mq=start, Mkv=start), "eager")
    records: list[Record] = []
    while (trial := hunt.next()) is not None:
        records.append(Record(trial, RAN if trial.case.Mkv <= limit else beyond))
        hunt.tell(records[-1])
        assert len(records) < 60
    return hunt, records


@pytest.mark.parametrize("limit", [17, 300, 512, 513, 4_000, 65_536, 100_000, 1_234_567])
def test_the_limit_lies_between_what_ran_and_what_did_not(limit: int) -> None:
    """And the two are close, from whatever side the search began."""
    hunt, records = search(limit)
    assert hunt.fails is not None
    assert hunt.fits <= limit < hunt.fails
    assert hunt.fails - hunt.fits <= max(1, CLOSE * hunt.fits)
    assert len(records) < 30


def test_no_length_is_tried_twice() -> None:
    """Every trial costs passes over long sequences."""
    _, records = search(100_000)
    lengths = [record.trial.case.Mkv for record in records]
    assert len(set(lengths)) == len(lengths)


def test_bisection_goes_by_whole_tiles() -> None:
    """Lengths in between are multiples of 256: kernels pad the others up to a tile anyway."""
    _, records = search(100_000, start=1000)
    between = [length for r in records if 64_000 < (length := r.trial.case.Mkv) < 128_000]
    assert len(between) > 3
    assert all(length % 256 == 0 for length in between)


def test_keys_alone_grow_where_queries_are_few() -> None:
    """The longest cache of a decode step."""
    hunt = Search(CASE.edit(Mq=1, Mkv=1024), "eager")
    hunt.tell(Record(Trial(CASE.edit(Mq=1, Mkv=1024), "eager", "fits"), RAN))
    trial = hunt.next()
    assert trial is not None
    assert (trial.case.Mq, trial.case.Mkv) == (1, 2048)


def test_a_trial_that_hangs_ends_the_search() -> None:
    """Time is no limit of memory, and the view says which it was."""
    hunt, records = search(2_000, TimedOut("forward", 30.0))
    assert hunt.fits == 1024
    (found,) = found_in(report(*records))
    assert found.limited_by_time
    assert (found.fits, found.fails) == (1024, 2048)


def test_a_refusal_is_not_searched_any_further() -> None:
    """Half the length would be refused as well."""
    _, records = search(0, Refused("library", ("no such mask",)))
    assert len(records) == 1
    assert found_in(report(*records)) == []


def test_without_a_backward_the_forward_is_searched() -> None:
    """Who refuses the backward alone still has a longest forward."""
    hunt = Search(CASE, "eager")
    first = hunt.next()
    assert first is not None
    hunt.tell(Record(first, Refused("library", ("no backward",))))
    second = hunt.next()
    assert second is not None
    assert (second.case.passes, second.case.Mkv) == ("fwd", CASE.Mkv)


def test_the_session_tells_what_was_found() -> None:
    """Reading the records gives what the search knew, with memory and reason."""
    hunt, records = search(100_000)
    (found,) = found_in(report(*records))
    assert (found.fits, found.fails) == (hunt.fits, hunt.fails)
    assert found.peak_bytes == 2**30
    assert found.ended == FULL


def test_an_error_is_a_limit_too() -> None:
    """A grid that is too large raises; that is the longest that runs, too."""
    hunt, records = search(60_000, Raised("forward", "RuntimeError", "invalid configuration"))
    assert hunt.fits <= 60_000 < (hunt.fails or 0)
    (found,) = found_in(report(*records))
    assert not found.limited_by_time


def test_memory_alone_is_no_search() -> None:
    """On a CPU every timing is weighed; nothing was sought for."""
    weighed = [Record(Trial(CASE.edit(Mq=m, Mkv=m), "eager", "fits"), RAN) for m in (64, 128, 256)]
    assert found_in(report(*weighed)) == []


def test_cases_that_differ_in_length_alone_are_searched_once() -> None:
    """A sweep over M has one longest sequence per backend."""
    calls = [Call(CASE.edit(Mq=m, Mkv=m)) for m in (512, 1024)] + [Call(CASE.edit(B=9))]
    assert len(longest.searches(calls, ("eager", "sdpa-math"))) == 4
