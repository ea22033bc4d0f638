"""What became of a trial, which trials pair, what differs in the environments."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnprobe.compare import compare
from attnprobe.compare.records import Difference
from attnprobe.compare.regressions import KINDS, regressions
from attnprobe.core.conditions import Conditions, CpuConditions, GpuConditions, Spread
from attnprobe.core.environment import Gpu, LoadedLibrary, Package
from attnprobe.core.outcome import Measured, OutOfMemory, TimedOut
from attnprobe.core.parity import Parity
from attnprobe.core.sampling import Sampling
from attnprobe.core.timing import Duration, Rates
from attnprobe.core.trial import Record, Trial
from attnprobe.errors import UsageError
from tests.compare.sessions import (
    CASE,
    RAISED,
    REFUSED,
    WRONG,
    environment,
    in_turns,
    measured,
    report,
)

UNPROVEN = Measured("form", Parity("no_power", "fused"))


def pair(old, new, **options):
    """The one pair of two sessions of one trial."""
    return compare(report({"flash": old}), report({"flash": new}), **options).pairs[0]


@pytest.mark.parametrize(
    ("old", "new", "change"),
    [
        (measured(), measured(parity=WRONG), "newly_wrong"),
        (REFUSED, measured(parity=WRONG), "newly_wrong"),
        (RAISED, measured(parity=WRONG), "newly_wrong"),
        (measured(parity=WRONG), measured(), "newly_right"),
        (measured(parity=WRONG), UNPROVEN, "newly_right"),
        (measured(parity=WRONG), measured(parity=WRONG), "none"),
        (measured(), REFUSED, "newly_refused"),
        (UNPROVEN, REFUSED, "newly_refused"),
        (measured(), RAISED, "newly_broken"),
        (measured(), TimedOut("forward", 60.0), "newly_broken"),
        (measured(), OutOfMemory("forward", "no"), "newly_broken"),
        (REFUSED, measured(), "newly_runs"),
        (RAISED, measured(), "newly_runs"),
        (REFUSED, RAISED, "otherwise"),
        (measured(parity=WRONG), REFUSED, "otherwise"),
        (measured(), UNPROVEN, "none"),
    ],
)
def test_what_became_of_a_trial(old, new, change):
    """Every way from one outcome to another has one name."""
    assert pair(old, new).change == change


@pytest.mark.parametrize(
    ("new", "verdict"),
    [
        (1.00e-3, "indistinguishable"),
        (1.015e-3, "indistinguishable"),
        (1.05e-3, "slower"),
        (0.95e-3, "faster"),
    ],
)
def test_times_count_beyond_what_two_runs_differ_by(new, verdict):
    """5% with intervals of 0.2% counts; 1.5% does not, because it may be the run itself."""
    speed = pair(measured(1e-3), measured(new)).speeds[0]
    assert (speed.field, speed.verdict) == ("fwd_s", verdict)
    assert speed.ratio.median == pytest.approx(new / 1e-3)


def test_turns_of_one_run_count_from_half_a_percent():
    """The same 1.5%, seen in every turn, is a difference."""
    old, new = in_turns((1e-3,) * 12), in_turns((1.015e-3,) * 12)
    speed = pair(old, new).speeds[0]
    assert (speed.paired, speed.verdict) == (True, "slower")


def test_turns_of_two_runs_are_no_turns():
    """Sessions from two runs pair no turns, though both have some."""
    speed = pair(in_turns((1e-3,) * 12), in_turns((1.015e-3,) * 12, of="another")).speeds[0]
    assert not speed.paired


def test_too_few_turns_are_said():
    """An interrupted run says how many turns it lacks instead of guessing."""
    found = pair(in_turns((1e-3,) * 4), in_turns((2e-3,) * 4))
    assert not found.speeds
    assert "4 turns were taken; 6 are needed" in found.withheld[0]


def test_only_turns_that_both_took_pair():
    """The turn that NEW missed is not held against another one of OLD's."""
    old = in_turns((1e-3, 9e-3, *(1e-3,) * 6))
    new = in_turns((1e-3,) * 8)
    assert isinstance(new.timing.turns, tuple)
    kept = tuple(turn for turn in new.timing.turns if turn.number != 1)
    new = replace(new, timing=replace(new.timing, turns=kept))
    assert pair(old, new).speeds[0].ratio.high == pytest.approx(1.0)


def test_wrong_results_have_no_times():
    """A faster wrong kernel is not faster."""
    assert pair(measured(1e-3), measured(0.5e-3, parity=WRONG)).speeds == ()


def test_a_withheld_time_is_excused():
    """What one side could not measure is named with its side and reason."""
    new = measured(1e-3)
    new = replace(new, timing=replace(new.timing, fwd_s=None, withheld=("fwd_s: unsteady",)))
    found = pair(measured(1e-3), new)
    assert (found.speeds, found.withheld) == ((), ("fwd_s: NEW: unsteady",))


def test_warm_and_cold_are_not_compared():
    """Trials that were sampled warm and cold pair, and say why their times do not."""
    warm = Record(
        Trial(CASE, "flash", "time", Sampling(warm=True)), measured(cache="warm (as asked)")
    )
    old = report({"flash": measured()})
    found = compare(old, replace(old, records=(warm,))).pairs[0]
    assert found.speeds == ()
    assert "cold in OLD and warm in NEW" in found.withheld[0]


def ran_at(mhz, bound="matmul"):
    """Measured while the GPU's SM clock was at `mhz`."""
    found = measured(1e-3)
    gpu = GpuConditions(sm_clock_mhz=Spread(mhz, mhz, mhz))
    timing = replace(found.timing, conditions=Conditions(9, 0.4, gpu))
    return replace(found, timing=replace(timing, fwd_s=replace(timing.fwd_s, bound=bound)))


def test_times_at_two_clocks_are_not_compared():
    """12% less clock is no slower kernel; what memory bounds does not feel it, and 1% is nothing."""
    found = pair(ran_at(1980), ran_at(1755))
    assert found.speeds == ()
    assert "1980 MHz in OLD and 1755 MHz in NEW" in found.withheld[0]
    assert pair(ran_at(1980, "memory"), ran_at(1755, "memory")).speeds
    assert pair(ran_at(1980), ran_at(1960)).speeds


def test_times_on_a_busy_cpu_are_not_compared():
    """A run that shared its CPU says nothing about another one; on a GPU it may."""
    found = measured(1e-3)
    seen = Conditions(9, 0.4, cpu=CpuConditions(others=0.4))
    busy = replace(found, timing=replace(found.timing, conditions=seen))
    case = CASE.edit(device="cpu")
    told = compare(report({"a": found}, case), report({"a": busy}, case)).pairs[0]
    assert told.speeds == ()
    assert told.withheld == ("fwd_s: other processes had 40% of the CPU in NEW",)
    assert pair(found, busy).speeds


def test_another_target_is_the_same_trial():
    """`--target-ci` changes a trial's id and nothing that its medians mean."""
    other = Record(Trial(CASE, "flash", "time", Sampling(target_ci=0.01)), measured(1.1e-3))
    old = report({"flash": measured()})
    assert compare(old, replace(old, records=(other,))).pairs[0].speeds[0].verdict == "slower"


@pytest.mark.parametrize(
    ("old", "new", "verdict"),
    [
        (32 * 2**20, 32 * 2**20, "same"),
        (32 * 2**20, 32 * 2**20 + 100_000, "same"),
        (32 * 2**20, 34 * 2**20, "more"),
        (1052 * 2**20, 32 * 2**20, "less"),
        (1000, 60_000, "same"),
        (0, 2**20, "more"),
    ],
)
def test_peaks_move_beyond_a_percent_and_64_kib(old, new, verdict):
    """Both thresholds must be passed."""
    assert pair(measured(peak_bytes=old), measured(peak_bytes=new)).memory.verdict == verdict


def test_resident_sets_move_beyond_their_noise():
    """1.5 MiB more is nothing in a resident set and a change in what an allocator handed out."""
    grown = (32 * 2**20, 32 * 2**20 + 3 * 2**19)
    for how, verdict in (("peak resident set of a fresh process", "same"), ("allocator", "more")):
        old, new = (measured(peak_bytes=peak, memory=how) for peak in grown)
        assert pair(old, new).memory.verdict == verdict


def test_peaks_taken_otherwise_are_not_compared():
    """Peak memory by two methods is two quantities."""
    found = pair(measured(), measured(memory="resident set"))
    assert found.memory is None
    assert any(why.startswith("peak_bytes: taken otherwise") for why in found.withheld)


def test_another_kernel_is_seen():
    """Other kernels are named; a fall back to another backend's with its reason."""
    fell = replace(measured(), kernels=("softmax",), unexpected_kernel="fell back to unfused math")
    found = pair(measured(), fell).kernels
    assert (found.old, found.new, found.foreign) == (
        ("flash_fwd",),
        ("softmax",),
        "fell back to unfused math",
    )
    assert pair(measured(), measured()).kernels is None
    assert pair(measured(), replace(measured(), kernels=())).kernels is None


def test_trials_of_one_side_are_kept():
    """What only one session ran is listed on its side."""
    old = report({"flash": measured(), "math": measured()})
    new = report({"flash": measured(), "flex": measured()})
    found = compare(old, new)
    assert [r.trial.backend for r in found.only_old] == ["math"]
    assert [r.trial.backend for r in found.only_new] == ["flex"]


def test_a_renamed_backend_pairs():
    """Two versions of one's own kernel, in two files."""
    old, new = report({"v1.py:f": measured()}), report({"v2.py:f": measured(1.2e-3)})
    found = compare(old, new, renamed={"v1.py:f": "v2.py:f"})
    assert found.pairs[0].speeds[0].verdict == "slower"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (report({}), report({"a": measured()}), "OLD holds no trial"),
        (report({"a": measured()}), report({"b": measured()}), "with a, NEW ran report with b"),
        (report({"a": measured()}, seed=1), report({"b": measured()}), "seeds differ: 1 and 0"),
    ],
)
def test_nothing_in_common_is_bad_input(old, new, words):
    """Two sessions of other things are told so, and what each ran."""
    with pytest.raises(UsageError) as caught:
        compare(old, new)
    assert words in caught.value.why


def test_other_gpus_are_refused_unless_asked_for():
    """An A100 after an H200 is no upgrade of software."""
    other = environment(gpus=(Gpu(0, "", "NVIDIA A100"),))
    old, new = report({"a": measured()}), report({"a": measured(2e-3)}, environment=other)
    with pytest.raises(UsageError, match="different devices"):
        compare(old, new)
    assert compare(old, new, across_devices=True).pairs[0].speeds[0].verdict == "slower"


def test_a_cpu_is_no_gpu():
    """Cases of two devices have two ids; across devices they pair."""
    old, new = report({"a": measured()}), report({"a": measured(2e-3)}, CASE.edit(device="cpu"))
    with pytest.raises(UsageError, match="different devices"):
        compare(old, new)
    assert len(compare(old, new, across_devices=True).pairs) == 1


def test_a_session_without_its_machine_is_compared_with_a_warning():
    """A torn session may lack the environment; that is said, and the rest compared."""
    found = compare(report({"a": measured()}, environment=None), report({"a": measured()}))
    assert found.differences == ()
    assert "OLD does not say what machine it ran on" in found.warnings


def test_environments_differ_in_what_differs():
    """Versions, flags, variables, packages and libraries; the weightiest first, nothing else."""
    old = environment()
    assert old.torch is not None
    new = environment(
        torch=replace(old.torch, version="2.12.0", flags={"deterministic": "True"}),
        packages=(Package("torch", "2.12.0"),),
        variables={},
        libraries=(LoadedLibrary("libcudnn.so.9", "/venv/lib/site-packages/nvidia/libcudnn.so.9"),),
        gpus=(Gpu(0, "", "NVIDIA H200", power_w=(90.0, 500.0), temperature_c=70),),
    )
    found = compare(report({"a": measured()}), report({"a": measured()}, environment=new))
    assert found.differences == (
        Difference("torch", "2.11.0", "2.12.0"),
        Difference("GPU power limit", "700 W", "500 W"),
        Difference("package xformers", "0.0.35", ""),
        Difference("flag deterministic", "False", "True"),
        Difference("variable CUDA_VISIBLE_DEVICES", "0", ""),
        Difference("library libcudnn.so.9", "", "nvidia/libcudnn.so.9"),
    )


def test_a_slower_machine_is_warned_of():
    """The limits that both runs measured are a control: they should be the same."""
    was, now = Rates(788e12, 4.1e12), Rates(700e12, 4.1e12)
    found = compare(report({"a": measured(rates=was)}), report({"a": measured(rates=now)}))
    assert ["788 TFLOP/s in OLD and at 700 TFLOP/s" in text for text in found.warnings] == [True]


def test_the_confidence_is_shared_by_all_ratios():
    """Two ratios: each interval holds in 97.5%, both in 95%."""
    old = report({"a": measured(), "b": measured()})
    found = compare(old, old)
    assert (found.ratios, found.confidence) == (2, pytest.approx(0.975))


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [
        (measured(), measured(parity=WRONG), "wrong"),
        (measured(), RAISED, "broken"),
        (measured(), REFUSED, "refused"),
        (measured(1e-3), measured(1.1e-3), "slower"),
        (measured(), measured(peak_bytes=2**30), "memory"),
    ],
)
def test_each_kind_of_regression_is_told_apart(old, new, kind):
    """A trial is worse in exactly the way that it is."""
    found = compare(report({"a": old}), report({"a": new}))
    assert [k for k in KINDS if regressions(found, [k])] == [kind]
    back = compare(report({"a": new}), report({"a": old}))
    assert regressions(back, KINDS) == []


_ANY = st.floats(allow_nan=True, allow_infinity=True)


@given(st.lists(_ANY, min_size=3, max_size=3), st.integers(-3, 9))
def test_no_number_in_a_file_breaks_a_comparison(numbers, rounds):
    """NaN, infinity, zero, negative and reversed intervals are withheld; no ratio is NaN."""
    hostile = measured(fwd_s=1.0)
    odd = Duration(*numbers, n=1, rounds=rounds)
    hostile = replace(hostile, timing=replace(hostile.timing, fwd_s=odd))
    for found in (pair(hostile, measured()), pair(measured(), hostile)):
        assert all(not math.isnan(s.ratio.low + s.ratio.high) for s in found.speeds)
        assert len(found.speeds) + len(found.withheld) == 1


def test_an_unchanged_session_is_unchanged():
    """A session against itself: nothing moved, nothing is worse, nothing differs."""
    old = report({"a": measured(), "b": REFUSED, "c": measured(parity=WRONG), "d": RAISED})
    found = compare(old, old)
    assert {pair.change for pair in found.pairs} == {"none"}
    assert {s.verdict for p in found.pairs for s in p.speeds} == {"indistinguishable"}
    assert (found.differences, found.warnings, regressions(found, KINDS)) == ((), (), [])
