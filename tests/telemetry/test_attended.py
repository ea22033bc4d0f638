"""Timed trials come back with conditions; others, and their worker, are left alone."""

import os
import time
from dataclasses import replace

import pytest

from attnprobe.core.case import Case
from attnprobe.core.jsonio import encode
from attnprobe.core.outcome import Crashed, Measured
from attnprobe.core.timing import Duration, Timing, Versus
from attnprobe.core.trial import Trial
from attnprobe.masks import parse
from attnprobe.probe.gpu_watch import GpuWatch, NoSuchGpu
from attnprobe.session.lines import RecordLine
from attnprobe.session.validation import read_line
from attnprobe.telemetry import Attended
from attnprobe.worker.host import Worker
from tests.fakes import FakeWorker
from tests.telemetry.fake_nvml import FakeNvml, active, process

CPU = Case(1, 1, 1, 8, 8, 8, 8, "float32", "cpu", mask=parse("none"))
GPU = replace(CPU, device="cuda")
TIMED = Measured("none", timing=Timing(fwd_s=Duration(1e-3, 1e-3, 1e-3, 10, 10)))
GPUS = {"gpus": [{"index": 0, "uuid": "aa11"}], "torch": None, "libraries": [], "gaps": []}


class Announcing(FakeWorker):
    """Its child goes through these phases, each lasting a moment."""

    def __init__(self, outcome=TIMED, phases=("forward", "time"), facts=GPUS, lasts=0.1):
        super().__init__(lambda trial: outcome, {"facts": facts})
        self.listener, self.phases, self.lasts = (lambda phase: None), phases, lasts

    def trial(self, trial, deadline_s):
        for phase in self.phases:
            self.listener(phase)
            time.sleep(self.lasts)
        return super().trial(trial, deadline_s)


def timed(worker, case=CPU, library=None, question="time"):
    attended = Attended(worker, lambda uuid: GpuWatch(uuid, library or FakeNvml()))
    return attended.trial(Trial(case, "eager", question), 10.0)


def conditions(record):
    return record.outcome.timing.conditions


def test_a_timed_trial_on_the_cpu_has_the_conditions_of_its_time_phase():
    """Sampled while it lasted, not before."""
    found = conditions(timed(Announcing()))
    assert found.gpu is None
    assert found.cpu.cores >= 1
    assert 3 <= found.samples <= 7
    assert 0.1 <= found.seconds < 0.2


def test_a_timed_trial_on_the_gpu_has_the_gpus():
    """Found by the UUID that the child says."""
    found = conditions(timed(Announcing(), GPU))
    assert found.gpu.sm_clock_mhz.median == 1980
    assert found.gaps == ()


def test_the_device_that_is_watched_is_the_one_that_cuda_counts():
    """The second visible device, whatever NVML's index of it is."""
    visible = [{"index": 0, "uuid": "ff00"}, {"index": 1, "uuid": "aa11"}]
    second = replace(CPU, device="cuda:1")
    assert conditions(timed(Announcing(facts={**GPUS, "gpus": visible}), second)).gpu is not None
    first = timed(Announcing(facts={**GPUS, "gpus": visible}), GPU)
    assert "does not know the device" in first.outcome.timing.notes[-1]


def test_a_neighbour_takes_the_times_back():
    """From NVML to the record."""
    library = FakeNvml(
        processes=[process(1, 2**30), process(os.getpid())], utilisation=[active(1, 50)]
    )
    record = timed(Announcing(), GPU, library)
    assert record.outcome.timing.fwd_s is None
    assert "the GPU was shared with" in record.outcome.timing.withheld[0]


def test_a_comparison_has_them_too():
    """On its own record."""
    worker = Announcing(Measured("none", versus=Versus("eager")))
    assert timed(worker, question="compare").outcome.versus.conditions is not None


@pytest.mark.parametrize("question", ["check", "training"])
def test_other_questions_are_passed_on(question):
    """Nothing is watched, whatever the phases are called."""
    assert conditions(timed(Announcing(), question=question)) is None


def test_a_trial_that_never_came_to_its_time_phase_is_as_it_was():
    """It crashed: no conditions are needed."""
    crashed = Crashed("forward")
    assert timed(Announcing(crashed, phases=("forward",))).outcome == crashed


def test_a_retried_trial_has_the_conditions_of_its_last_attempt():
    """The first one's samples are forgotten."""
    found = conditions(timed(Announcing(phases=("time", "import", "forward", "time"))))
    assert found.seconds < 0.2


def test_nobody_listens_afterwards():
    """Even when the worker raised."""

    class Failing(Announcing):
        def trial(self, trial, deadline_s):
            self.listener("time")
            raise KeyboardInterrupt

    worker = Failing()
    before = worker.listener
    with pytest.raises(KeyboardInterrupt):
        timed(worker)
    assert worker.listener is before


def test_what_cannot_be_watched_is_said():
    """No NVML, or a torch that does not say which GPU."""

    def none(uuid):
        raise NoSuchGpu("NVML: Driver Not Loaded")

    record = Attended(Announcing(), none).trial(Trial(GPU, "eager", "time"), 10.0)
    assert "Driver Not Loaded" in record.outcome.timing.notes[-1]
    record = timed(Announcing(facts={**GPUS, "gpus": [{"index": 0, "uuid": ""}]}), GPU)
    assert "torch does not say which GPU" in record.outcome.timing.notes[-1]


def test_conditions_survive_the_session_file():
    """Written, read and validated, they are the same."""
    record = timed(Announcing(), GPU, FakeNvml(processes=[process(1, 5)], held=[4]))
    line = RecordLine(record)
    assert read_line(_json(line)) == line


def _json(line):
    import json

    return json.dumps(encode(line)).encode()


def test_a_real_child_is_watched_while_it_samples():
    """Worker, child and measurement; the child's own time is not another process's."""
    with Worker() as worker:
        heard = []
        attended = Attended(worker)
        worker.listener = heard.append
        case = Case(1, 2, 2, 64, 64, 16, 16, "float32", "cpu", mask=parse("none"), passes="fwd")
        record = attended.trial(Trial(case, "sdpa-math", "time"), 60.0)
        attended.trial(Trial(case, "sdpa-math", "check"), 60.0)
    found = record.outcome.timing.conditions
    assert found.samples >= 5
    assert 0.2 <= found.seconds <= 2.5
    assert found.cpu is not None
    assert "verify" in heard
    assert "weigh" in record.phases
