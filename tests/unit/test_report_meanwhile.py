"""What the machine did meanwhile is one line over all trials."""

from attnprobe.core.conditions import Conditions, CpuConditions, GpuConditions, Neighbour, Spread
from attnprobe.report.compose.machine_meanwhile import meanwhile


def steady(value):
    return Spread(value - 10, value, value + 10)


def gpu(clock, watts, neighbours=()):
    return Conditions(
        10,
        0.3,
        gpu=GpuConditions(
            sm_clock_mhz=steady(clock),
            sm_clock_max_mhz=1980,
            memory_clock_mhz=steady(3201),
            power_w=steady(watts),
            power_limit_w=700.0,
            temperature_c=steady(52),
            neighbours=neighbours,
        ),
        cpu=CpuConditions(others=0.5, cores=16),
    )


def test_ranges_over_trials_of_what_a_trial_saw_at_its_median():
    """A value that is the same everywhere is said once; the CPU is not what a GPU trial is about."""
    assert meanwhile([gpu(1980, 250.4), gpu(1620, 655)]) == (
        "SM clock 1620 to 1980 of 1980 MHz, memory clock 3201 MHz, 250 to 655 of 700 W, "
        "52 degrees Celsius, no other process on the GPU"
    )


def test_neighbours_are_left_to_the_remarks_and_not_denied():
    """Nor is nobody claimed where processes cannot be listed."""
    assert "process" not in meanwhile([gpu(1980, 250, (Neighbour("x"),)), gpu(1980, 250)])
    assert "cannot be listed" in meanwhile([gpu(1980, 250, None)])


def test_on_the_cpu_it_is_what_others_took():
    """And the governor where there is one."""
    cpus = [CpuConditions(others=share, cores=8, governor="powersave") for share in (0.02, 0.4)]
    assert meanwhile(Conditions(4, 0.3, cpu=each) for each in cpus) == (
        "other processes took 2 to 40% of 8 cores, governor powersave"
    )


def test_nothing_seen_is_nothing_said():
    """No conditions, or empty ones."""
    assert meanwhile([]) == ""
    assert meanwhile([Conditions(0, 0.0)]) == ""
