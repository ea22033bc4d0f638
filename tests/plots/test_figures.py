"""What pictures show, as data: every point with its verdict, every gap with its reason."""

from __future__ import annotations

from dataclasses import replace

import pytest

from attnprobe.core.report import Report
from attnprobe.core.timing import Rates
from attnprobe.core.trial import Record
from attnprobe.report.compose.figures import figures, pictures
from attnprobe.report.document import Folded
from attnprobe.report.figure import Bars, Chart, Series
from tests.plots.sweep import CASE, FLASH, LENGTHS, MATH, OTHER, RATES, SWEPT, WRONG

TIME, MEMORY, ROOF, SPEED = figures(SWEPT)


def series(figure: object, name: str) -> Series:
    assert isinstance(figure, Chart)
    return next(each for each in figure.series if each.name == name)


def test_a_wrong_backend_is_seen_as_wrong() -> None:
    """Where it has a time its point says so; where it has none the lane does."""
    (point,) = series(TIME, WRONG).points
    assert (point.x, point.look) == (1024, "wrong")
    assert series(TIME, WRONG).missing == tuple((n, "wrong") for n in LENGTHS if n != 1024)


def test_out_of_memory_ends_a_line() -> None:
    """The lengths that did not fit are named, in both charts."""
    for figure in (TIME, MEMORY):
        found = series(figure, MATH)
        assert [p.x for p in found.points] == [512, 1024, 2048]
        assert found.missing == ((4096, "out of memory"), (8192, "out of memory"))


def test_another_kernel_than_asked_for_is_no_full_point() -> None:
    """A fall back is not the backend's own time."""
    looks = {p.x: p.look for p in series(TIME, OTHER).points}
    assert looks == {512: "right", 1024: "right", 2048: "unproven", 8192: "right"}


def test_a_withheld_time_is_told_from_a_length_nobody_asked() -> None:
    """Its lane has it; its memory, which was not withheld, has its point."""
    assert series(TIME, OTHER).missing == ((4096, "withheld"),)
    assert series(MEMORY, OTHER).missing == ()


def test_launch_bound_points_are_marked() -> None:
    """Those whose loop the host slows down, and no other."""
    assert {p.x for p in series(TIME, FLASH).points if p.launch_bound} == {512}


def test_a_point_has_its_interval() -> None:
    """In seconds, as in the session."""
    point = series(TIME, FLASH).points[0]
    assert (point.low, point.y, point.high) == pytest.approx(
        (0.9e-10 * 2**18, 1e-10 * 2**18, 1.2e-10 * 2**18)
    )


def test_the_least_memory_is_a_line() -> None:
    """One corner a length; time has no such line."""
    assert isinstance(MEMORY, Chart)
    assert isinstance(TIME, Chart)
    assert MEMORY.limits[0].points == tuple((n, 2**13 * n) for n in LENGTHS)
    assert TIME.limits == ()


def test_titles_say_what_the_cases_share() -> None:
    """Batch, heads, head dim and type stand in the subtitle, the length does not."""
    assert TIME.title == "train: time of fwd+bwd over M"
    assert TIME.subtitle == "B2 H8 K64 bfloat16; 4 backends, 13 points"


def test_a_backend_has_one_slot_in_all_pictures() -> None:
    """So that its colour and letter mean the same everywhere."""
    slots = {
        (each.name, each.slot)
        for figure in (TIME, MEMORY, ROOF, SPEED)
        for each in (figure.bars if isinstance(figure, Bars) else figure.series)
    }
    assert len(slots) == len(dict(slots)) == 4


def test_the_roof_is_the_measured_rates() -> None:
    """A slope of copying up to the matmul rate, and level from there."""
    assert isinstance(ROOF, Chart)
    (_, first), (ridge, top), (_, last) = ROOF.limits[0].points
    assert (ridge, top, last) == pytest.approx(
        (RATES.flops / RATES.bytes, RATES.flops, RATES.flops)
    )
    assert first == pytest.approx(ROOF.limits[0].points[0][0] * RATES.bytes)


def test_the_roof_is_the_best_of_all_rates() -> None:
    """Each child process measures them once; a busy moment in one of them lowers no limit."""

    def slower(record: Record) -> Record:
        if record.trial.backend != FLASH or record.trial.question != "time":
            return record
        timing = replace(record.outcome.timing, rates=Rates(1e14, 1e12))  # type: ignore[union-attr]
        return replace(record, outcome=replace(record.outcome, timing=timing))

    found = figures(replace(SWEPT, records=tuple(map(slower, SWEPT.records))))[2]
    assert isinstance(found, Chart)
    assert isinstance(ROOF, Chart)
    assert found.limits == ROOF.limits


def test_a_point_under_the_roof_is_work_over_time_and_traffic() -> None:
    """FLOP of forward and backward over the median, and over the bytes that must move, by hand."""
    point = max(series(ROOF, FLASH).points, key=lambda p: p.x)
    n, heads = 8192, CASE.B * CASE.Hq
    done, row = 14 * heads * n * n * 64, heads * n * 64 * 2
    lse = heads * n * 4
    moved = (4 * row + lse) + (3 * row + 2 * row + lse + 3 * row)
    assert point.y == pytest.approx(done / (1e-10 * n * n))
    assert point.x == pytest.approx(done / moved)
    assert (point.low, point.high) == pytest.approx((point.y / 1.2, point.y / 0.9))


def test_speed_is_the_inverse_of_the_ratio_of_times() -> None:
    """Half the time is twice the speed, and the ends of the interval change places."""
    assert isinstance(SPEED, Bars)
    (bar,) = SPEED.bars
    assert (bar.name, bar.value, bar.low, bar.high) == (FLASH, 2.0, 1.6, 2.5)
    assert "M8192" in SPEED.subtitle


def test_zeros_are_not_lost_in_silence() -> None:
    """A logarithmic axis has no place for 0 bytes; the picture says how many there were."""

    def emptied(report: Report) -> Report:
        records = []
        for r in report.records:
            if r.trial.backend == FLASH and r.trial.question == "time":
                timing = replace(r.outcome.timing, peak_bytes=0)  # type: ignore[union-attr]
                r = replace(r, outcome=replace(r.outcome, timing=timing))
            records.append(r)
        return replace(report, records=tuple(records))

    found = figures(emptied(SWEPT))[1]
    assert isinstance(found, Chart)
    assert FLASH not in {s.name for s in found.series}
    assert found.remarks == ("5 x 0 bytes: not on this axis",)


def test_without_times_there_is_no_picture() -> None:
    """Nor a heading."""
    assert pictures(Report(command="profile")) == ()


def test_many_pictures_are_folded() -> None:
    """Four of a sort are shown at once."""
    spread = [
        replace(r, trial=replace(r.trial, case=r.trial.case.edit(K=k, Kv=k)))
        for k in (32, 64, 128)
        for r in SWEPT.records
    ]
    folded = [b for b in pictures(replace(SWEPT, records=tuple(spread))) if isinstance(b, Folded)]
    assert [(b.summary, len(b.blocks)) for b in folded] == [("2 further pictures of sweeps", 2)]
