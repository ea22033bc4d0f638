"""However the host ends, what was measured is kept and no process stays behind."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from attnprobe.session import load
from tests.worker.conftest import DEEDS, MakeEnvironment, left

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not os.path.isdir("/proc"), reason="orphans are found through /proc"),
]

CAMPAIGN = Path(__file__).with_name("campaign.py")
ROOT = CAMPAIGN.parents[2]
TRIALS = 30

LIGHT_TORCH = {
    "torch/__init__.py": "__version__ = '0'\nclass cuda: is_initialized = staticmethod(lambda: False)"
}
"""Where torch itself is not in question, it need not take seconds to import."""


class Campaign:
    """A host in a process of its own, whose descendants carry a mark in their environment."""

    def __init__(self, folder: Path) -> None:
        self.session, self.tally = folder / "s.jsonl", folder / "tally"
        self.mark = str(uuid.uuid4())
        self.tally.touch()

    def start(self, *python: str) -> subprocess.Popen[str]:
        variables = {"PYTHONPATH": str(ROOT), "ATTNPROBE_TEST_TALLY": str(self.tally)}
        return subprocess.Popen(
            [sys.executable, str(CAMPAIGN), str(self.session), str(TRIALS), DEEDS, *python],
            env={**os.environ, **variables, "ATTNPROBE_TEST_MARK": self.mark},
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def orphans(self) -> list[str]:
        """Descendants that still run."""
        return left(self.mark)

    def executed(self) -> int:
        return len(self.tally.read_text().splitlines())


@pytest.fixture
def campaign(tmp_path: Path) -> Campaign:
    return Campaign(tmp_path)


def test_killing_the_host_costs_at_most_the_trial_in_flight(campaign: Campaign) -> None:
    """Kill -9 at four random moments: no orphan, every trial recorded once, one redone each at most."""
    kills = 4
    for moment in random.Random(4).choices(range(300, 2200), k=kills):
        host = campaign.start()
        time.sleep(moment / 1e3)
        host.kill()
        host.wait()
        assert campaign.orphans() == []
    assert campaign.start().wait(120) == 0
    assert campaign.orphans() == []
    records = [
        json.loads(line)["record"]["trial"]["case"]["seed"]
        for line in campaign.session.read_text().splitlines()
        if '"type": "record"' in line
    ]
    assert sorted(records) == list(range(TRIALS))
    assert TRIALS <= campaign.executed() <= TRIALS + kills
    assert load(campaign.session).complete


def test_killing_the_host_ends_an_import_that_hangs(
    campaign: Campaign, make_environment: MakeEnvironment
) -> None:
    """A server that cannot see its closed socket yet is ended by the kernel."""
    code = "import os, time\nopen(os.environ['ATTNPROBE_TEST_TALLY'], 'w').write('here')\n"
    hang = {"torch/__init__.py": code + "time.sleep(1000)"}
    host = campaign.start(str(make_environment("hung", (), hang)))
    while not campaign.executed():
        time.sleep(0.02)
    host.kill()
    host.wait()
    assert campaign.orphans() == []


def test_control_c_keeps_everything_and_leaves_nothing_running(
    campaign: Campaign, make_environment: MakeEnvironment
) -> None:
    """The terminal's SIGINT to the whole group: exit 130, records kept, no descendant left."""
    host = campaign.start(str(make_environment("light", (), LIGHT_TORCH)))
    assert host.stdout is not None
    for _ in range(3):
        host.stdout.readline()
    os.killpg(host.pid, signal.SIGINT)
    assert host.wait(30) == 130
    assert campaign.orphans() == []
    report = load(campaign.session)
    assert not report.complete
    assert len(report.records) >= 3
    assert report.notes == (f"interrupted after {len(report.records)} of {TRIALS} trials",)


def test_a_killed_server_is_replaced(campaign: Campaign, make_environment: MakeEnvironment) -> None:
    """Somebody ends the fork server: the trial in flight is a crash, the rest go on with a new one."""
    host = campaign.start(str(make_environment("light", (), LIGHT_TORCH)))
    assert host.stdout is not None
    host.stdout.readline()
    children = Path(f"/proc/{host.pid}/task/{host.pid}/children").read_text().split()
    os.kill(int(children[0]), signal.SIGKILL)
    assert host.wait(120) == 0
    records = load(campaign.session).records
    assert len(records) == TRIALS
    assert {record.outcome.kind for record in records} == {"measured"}
    assert campaign.orphans() == []
