"""What NVML says from look to look becomes the conditions of a trial."""

import os
import subprocess
import sys
import time

import pytest

from attnprobe.core.conditions import Neighbour, Spread
from attnprobe.probe.gpu_watch import GpuWatch, NoSuchGpu
from tests.telemetry.fake_nvml import FakeNvml, NotSupported, active, process

POWER_CAP, THERMAL, IDLE = 0x4, 0x20, 0x1
ME = os.getpid()
GONE = 2**22 + 1  # beyond the greatest process id of Linux: as one of another container looks
GIB = 2**30


def seen(library, looks=10):
    watch = GpuWatch("aa11", library)
    watch.begin()
    for _ in range(looks):
        watch.look()
    return watch.seen()


def test_every_quantity_has_its_unit():
    """Watts from milliwatts, megahertz and degrees as they are."""
    found = seen(FakeNvml())
    assert found.sm_clock_mhz == Spread(1980, 1980, 1980)
    assert found.memory_clock_mhz == Spread(3201, 3201, 3201)
    assert found.power_w == Spread(650.5, 650.5, 650.5)
    assert (found.power_limit_w, found.sm_clock_max_mhz) == (700.0, 1980)
    assert found.temperature_c == Spread(61, 61, 61)
    assert (found.held, found.neighbours) == ({}, ())


def test_what_held_the_clocks_is_a_share_of_the_samples():
    """Each reason by itself."""
    found = seen(FakeNvml(held=[POWER_CAP, POWER_CAP | THERMAL, 0, 0, 0, 0, 0, 0, 0, 0]))
    assert found.held == {"software power cap": 0.2, "software thermal slowdown": 0.1}


def test_clocks_of_an_idle_gpu_are_nobodys():
    """Samples before the first kernel do not say that clocks moved."""
    found = seen(FakeNvml([345, 345, 1980], held=[IDLE, IDLE, 0]), looks=12)
    assert found.sm_clock_mhz == Spread(1980, 1980, 1980)
    assert found.sm_clock_moved == 0.0


def test_a_clock_that_sank_half_way_moved_and_one_that_flickers_did_not():
    """Medians of the halves."""
    assert seen(FakeNvml([1980] * 5 + [1683])).sm_clock_moved == pytest.approx(-0.15)
    assert seen(FakeNvml([1980, 1700] * 6), looks=12).sm_clock_moved == 0.0
    assert seen(FakeNvml([1980, 345, 1980])).sm_clock_moved == 0.0


def test_too_few_samples_have_no_halves():
    """Seven looks."""
    assert seen(FakeNvml([1980] * 4 + [1000]), looks=7).sm_clock_moved is None


def test_each_trial_starts_anew():
    """What was seen of the one before is forgotten."""
    watch = GpuWatch("aa11", FakeNvml([1000] * 5 + [1980]))
    for _ in range(2):
        watch.begin()
        for _ in range(5):
            watch.look()
    assert watch.seen().sm_clock_mhz == Spread(1980, 1980, 1980)


def test_a_neighbour_has_name_memory_and_share():
    """Init is everywhere and never ours; we and our children are not listed."""
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        library = FakeNvml(
            processes=[process(ME, GIB), process(child.pid, GIB), process(1, 3 * GIB)],
            utilisation=[active(child.pid, 50), active(1, 40), active(1, 20), active(1, 2**31)],
        )
        (found,) = seen(library).neighbours
    finally:
        child.communicate(b"\n")
    assert found.name
    assert (found.memory_bytes, found.utilisation) == (3 * GIB, pytest.approx(0.3))


def test_who_is_not_known_to_have_computed_is_not_said_to_rest():
    """No activity at hand: unknown. Activity of others at hand: none of this one's."""
    listed = [process(ME), process(1, GIB)]
    (unknown,) = seen(FakeNvml(processes=listed)).neighbours
    (resting,) = seen(FakeNvml(processes=listed, utilisation=[active(ME, 99)])).neighbours
    assert (unknown.utilisation, resting.utilisation) == (None, 0.0)


def test_activity_is_asked_from_before_the_beginning_in_microseconds():
    """The period that the driver counted last may have begun a second ago."""
    library = FakeNvml(processes=[process(ME), process(1)])
    before = time.time()
    seen(library)
    assert (before - 1.1) * 1e6 <= library.since[0] <= time.time() * 1e6


def test_where_no_process_can_be_told_ours_is_the_busiest():
    """A container: of two that compute, at least one is another's."""
    two = FakeNvml(
        processes=[process(GONE, GIB), process(GONE + 1, 2 * GIB)],
        utilisation=[active(GONE, 60), active(GONE + 1, 40)],
    )
    assert seen(two).neighbours == (Neighbour("", 2 * GIB, 0.4),)
    assert seen(FakeNvml(processes=[process(GONE, GIB)])).neighbours == ()


def test_who_draws_is_a_neighbour_too():
    """A desktop or a game; what we are is a process that computes."""
    drawn = FakeNvml(drawing=[process(1, GIB)], utilisation=[active(1, 30), active(GONE, 20)])
    (found,) = seen(drawn).neighbours
    assert (found.memory_bytes, found.utilisation) == (GIB, 0.3)
    both = FakeNvml(
        processes=[process(GONE, GIB)], drawing=[process(1, GIB)], utilisation=[active(1, 30)]
    )
    assert len(seen(both).neighbours) == 1


def test_nobody_is_asked_for_where_we_are_alone():
    """Without others there is no activity to know, and no gap where the driver has none at hand."""
    alone = FakeNvml(processes=[process(ME)], utilisation=NotSupported("Not Found"))
    watch = GpuWatch("aa11", alone)
    assert watch.seen().neighbours == ()
    assert watch.gaps == ()


def test_what_is_not_supported_is_a_gap_and_not_nobody():
    """No list of processes: nothing is known of neighbours."""
    watch = GpuWatch("aa11", FakeNvml(processes=NotSupported("Not Supported")))
    watch.look()
    assert watch.seen().neighbours is None
    assert watch.gaps == ("NVML: DeviceGetComputeRunningProcesses: Not Supported",)


@pytest.mark.parametrize("uuid", ["aa11", "GPU-aa11"])
def test_a_gpu_is_found_by_its_uuid(uuid):
    """With the prefix as NVML writes it, or without as torch does."""
    assert GpuWatch(uuid, FakeNvml()).seen().sm_clock_max_mhz == 1980


def test_under_mig_processes_are_the_instances_and_clocks_the_boards():
    """Other instances have their own SMs; clocks belong to all."""
    library = FakeNvml()
    watch = GpuWatch("MIG-bb22", library)
    watch.look()
    watch.seen()
    assert {("clock", "GPU-aa11"), ("processes", "MIG-bb22")} == set(library.asked)


def test_without_a_driver_or_with_an_unknown_device_there_is_a_reason():
    """Nothing is watched, and the report says why."""
    with pytest.raises(NoSuchGpu, match="Driver Not Loaded"):
        GpuWatch("aa11", FakeNvml(driver=False))
    with pytest.raises(NoSuchGpu, match="Not Found"):
        GpuWatch("cc33", FakeNvml())
