"""What /proc and /sys say becomes the CPU's part of the conditions."""

import os

import pytest

from attnprobe.core.conditions import Spread
from attnprobe.probe import processes
from attnprobe.probe.cpu_watch import CpuWatch

ME, CHILD, OTHER = 100, 101, 200


class Machine:
    """A file system with two cores."""

    def __init__(self, root):
        self.root = root

    def write(self, path, text):
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def at(self, user, idle, steal=0, **cpu_of):
        """Counters in ticks: of all cores together, and of each process."""
        total = f"cpu  {user} 0 0 {idle} 0 0 0 {steal} 0 0\n"
        self.write("proc/stat", f"{total}cpu0 1 0 0 1\ncpu1 1 0 0 1\nintr 5\n")
        parents = {ME: 1, CHILD: ME, OTHER: 1}
        for pid, parent in parents.items():
            taken = cpu_of.get({ME: "me", CHILD: "child", OTHER: "other"}[pid], 0)
            fields = ["S", str(parent), *["0"] * 9, str(taken - taken // 4), str(taken // 4)]
            self.write(f"proc/{pid}/stat", f"{pid} (a ) odd name) {' '.join(fields)}\n")


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


def watching(machine, looks=1):
    clock = iter(range(1000))
    watch = CpuWatch(machine.root, ME, lambda: next(clock))
    watch.begin()
    for _ in range(looks):
        watch.look()
    return watch


def test_others_are_who_is_busy_and_not_ours(machine):
    """Of 1000 ticks 700 were busy: 400 ours, our child's among them, so 300 were others'."""
    machine.at(0, 0)
    watch = watching(machine)
    machine.at(700, 300, me=100, child=300, other=300)
    assert watch.seen().others == pytest.approx(0.3)
    assert watch.seen().cores == 2


def test_stolen_time_is_somebody_elses(machine):
    """A hypervisor that ran another machine meanwhile."""
    machine.at(0, 0)
    watch = watching(machine)
    machine.at(0, 800, steal=200)
    assert watch.seen().others == pytest.approx(0.2)


def test_clock_governor_load_and_quota(machine):
    """The clock is the mean of the cores at each look, in megahertz."""
    machine.at(0, 0)
    cpufreq = "sys/devices/system/cpu/cpu{}/cpufreq/{}"
    machine.write(cpufreq.format(0, "scaling_cur_freq"), "3000000\n")
    machine.write(cpufreq.format(1, "scaling_cur_freq"), "2000000\n")
    machine.write(cpufreq.format(0, "scaling_governor"), "powersave\n")
    machine.write("proc/loadavg", "1.75 1.00 0.50 3/400 1234\n")
    machine.write("sys/fs/cgroup/cpu.stat", "usage_usec 5\nnr_periods 10\nnr_throttled 1\n")
    watch = watching(machine)
    machine.write("sys/fs/cgroup/cpu.stat", "usage_usec 9\nnr_periods 30\nnr_throttled 6\n")
    found = watch.seen()
    assert found.clock_mhz == Spread(2500, 2500, 2500)
    assert (found.governor, found.load, found.throttled) == ("powersave", 1.75, 0.25)


def test_what_is_not_there_is_unknown(machine):
    """No cpufreq, no quota: None, not zero."""
    machine.at(0, 0)
    found = watching(machine).seen()
    assert (found.clock_mhz, found.throttled, found.governor, found.load) == (None, None, "", None)


def test_a_system_without_proc_has_no_cpu_conditions(tmp_path):
    """Nothing is made up."""
    watch = CpuWatch(tmp_path, ME)
    watch.begin()
    watch.look()
    assert watch.seen() is None


def test_a_clock_is_not_read_at_every_look(machine):
    """Reading it interrupts cores."""
    machine.at(0, 0)
    machine.write("sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq", "1000000")
    watch = CpuWatch(machine.root, ME, lambda: 5.0)
    watch.begin()
    watch.look()
    machine.write("sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq", "2000000")
    watch.look()
    assert watch.seen().clock_mhz == Spread(1000, 1000, 1000)


def test_children_are_found_by_the_lists_that_their_parents_threads_keep(machine):
    """A grandchild of the second thread; who is in no list is not ours, whoever its parent was."""
    machine.at(0, 0)
    machine.write(f"proc/{ME}/task/{ME}/children", "")
    machine.write(f"proc/{ME}/task/777/children", f"{CHILD} ")
    machine.write(f"proc/{CHILD}/task/{CHILD}/children", "102 ")
    assert processes.ours(ME, machine.root / "proc") == {ME, CHILD, 102}


def test_without_such_lists_everybodys_parent_is_asked(machine):
    """Kernels may be built without them."""
    machine.at(0, 0)
    assert processes.ours(ME, machine.root / "proc") == {ME, CHILD}


@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="needs Linux' /proc")
def test_the_real_processes_are_those_of_this_test():
    """We are ours, init is not, and we have a name and took some time."""
    mine = processes.ours(os.getpid())
    assert os.getpid() in mine
    assert 1 not in mine
    assert processes.cpu_ticks(mine) > 0
    assert processes.name(os.getpid())
