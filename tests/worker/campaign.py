"""A host that runs slow trials until it is killed: `campaign.py FILE TRIALS ENTRY [PYTHON]`."""

from __future__ import annotations

import sys

from attnprobe.core.case import Case
from attnprobe.core.trial import Record, Trial
from attnprobe.errors import Interrupted
from attnprobe.session import Journal, run
from attnprobe.session.lines import Header
from attnprobe.worker.host import Worker


def main(path: str, count: int, entry: str, python: str | None = None) -> int:
    trials = [Trial(Case(1, 1, 1, 4, 4, 8, 8, seed=seed), "slow") for seed in range(count)]
    with Journal(Header(), path, "resume") as journal, Worker(python, entry=entry) as worker:
        try:
            run(trials, worker, journal, _say, deadline_s=20.0)
        except Interrupted as error:
            return error.exit_code
        journal.end()
    return 0


def _say(done: int, total: int, record: Record, seconds_left: float) -> None:
    print(done, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), *sys.argv[3:]))
