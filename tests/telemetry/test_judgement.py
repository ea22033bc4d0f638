"""Which conditions take a number back, and which are told."""

from attnprobe.core.conditions import (
    Conditions,
    CpuConditions,
    GpuConditions,
    Neighbour,
    Spread,
)
from attnprobe.core.timing import Duration, Ratio, Timing, Versus
from attnprobe.telemetry import judgement

GIB = 2**30


def on_gpu(**gpu):
    return Conditions(20, 0.4, gpu=GpuConditions(**gpu))


def timing(bound="matmul"):
    duration = Duration(1e-3, 0.99e-3, 1.01e-3, 100, 20, bound=bound)
    return Timing(fwd_s=duration, bwd_s=duration, peak_bytes=5, notes=("before",))


def versus():
    return Versus("sdpa-flash", fwd=Ratio(1.0, 0.99, 1.01, 20))


CAPPED = {
    "sm_clock_mhz": Spread(1500, 1620, 1980),
    "sm_clock_max_mhz": 1980,
    "held": {"software power cap": 0.8},
}


def test_calm_conditions_are_kept_and_say_nothing():
    """The numbers stay as they are."""
    calm = on_gpu(sm_clock_mhz=Spread(1980, 1980, 1980), neighbours=())
    found = judgement.of_times(timing(), calm)
    assert found.fwd_s == timing().fwd_s
    assert found.notes == ("before",)
    assert found.conditions == calm


def test_a_busy_neighbour_withholds_every_time_and_says_whose_share():
    """Name, share and memory; what was weighed stays."""
    busy = on_gpu(neighbours=(Neighbour("python3", 12 * GIB, 0.43),))
    found = judgement.of_times(timing(), busy)
    said = "the GPU was shared with python3 (43% of the time, 12.0 GiB)"
    assert found.withheld == (f"fwd_s: {said}", f"bwd_s: {said}")
    assert (found.fwd_s, found.peak_bytes, found.conditions) == (None, 5, busy)


def test_a_neighbour_without_a_name_is_another_containers():
    """And the reader learns why it has none."""
    said = judgement.shared(on_gpu(neighbours=(Neighbour("", None, 0.5),)))
    assert "a process of another container or user (50% of the time)" in said


def test_an_idle_neighbour_is_told_and_withholds_nothing():
    """It holds memory, and its work is below what a median feels, or not known."""
    idle = on_gpu(neighbours=(Neighbour("Xorg", GIB, 0.02), Neighbour("jupyter", GIB)))
    found = judgement.of_times(timing(), idle)
    assert found.withheld == ()
    assert found.notes[-1] == "also on the GPU: Xorg (2% of the time, 1.00 GiB); jupyter (1.00 GiB)"


def test_thermal_and_hardware_slowdowns_withhold():
    """Each of them, with the temperature and the power."""
    for reason in judgement.SLOWED:
        hot = on_gpu(
            held={reason: 0.5},
            temperature_c=Spread(85, 88, 91),
            power_w=Spread(400, 500, 600),
            power_limit_w=700.0,
        )
        (said, _) = judgement.of_times(timing("memory"), hot).withheld
        assert f"{reason} in 50% of the time (91 degrees Celsius, 600 of 700 W)" in said


def test_a_moment_of_slowdown_is_not_felt_by_a_median():
    """One sample in twenty."""
    found = judgement.of_times(timing(), on_gpu(held={"hardware slowdown": 0.05}))
    assert found.withheld == ()


def test_the_power_cap_is_a_note_even_where_it_moves_the_clock():
    """Full load on a data-center card; the clock that it leaves is told."""
    found = judgement.of_times(timing(), on_gpu(**CAPPED, sm_clock_moved=-0.12))
    assert found.withheld == ()
    assert found.notes[1:] == (
        "SM clock 1620 of 1980 MHz: software power cap in 80% of the time",
        "the SM clock moved by -12% from one half of the run to the other (1500 to 1980 MHz)",
    )


def test_a_clock_that_moved_by_itself_withholds_what_feels_it():
    """Not what the memory sets the time of, which is told instead."""
    sank = on_gpu(sm_clock_mhz=Spread(1500, 1700, 1980), sm_clock_moved=-0.12)
    (said, _) = judgement.of_times(timing(), sank).withheld
    assert "moved by -12%" in said
    assert "1500 to 1980 MHz" in said
    found = judgement.of_times(timing("memory"), sank)
    assert found.withheld == ()
    assert "the SM clock moved by -12%" in found.notes[-1]


def test_a_ratio_outlives_a_moving_clock_but_no_neighbour():
    """Both sides ran in every round."""
    assert judgement.of_ratios(versus(), on_gpu(**CAPPED, sm_clock_moved=-0.2)).fwd is not None
    shared = judgement.of_ratios(versus(), on_gpu(neighbours=(Neighbour("x", None, 0.3),)))
    assert shared.fwd is None
    assert shared.withheld[0].startswith("fwd: the GPU was shared with x")
    assert shared.conditions is not None


def test_a_busy_cpu_is_a_note():
    """The intervals feel it; the reader should know why they are wide."""
    cpu = CpuConditions(others=0.45, cores=8, throttled=0.2, governor="powersave")
    found = judgement.of_times(timing(), Conditions(4, 0.4, cpu=cpu))
    assert found.withheld == ()
    assert found.notes[1:] == (
        "other processes took 45% of 8 cores",
        "the CPU quota was used up in 20% of its periods",
        "frequency governor: powersave",
    )


def test_what_could_not_be_seen_is_said():
    """NVML without an answer is not an idle GPU."""
    blind = Conditions(0, 0.4, gaps=("NVML: Driver Not Loaded",))
    assert judgement.of_times(timing(), blind).notes[-1] == "not seen: NVML: Driver Not Loaded"
