"""What attnprobe itself costs, as a table: `python tests/bench/overhead.py`.

Start-up of the command, import of torch, a fresh child, and one trial that does nothing.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from attnprobe.core.case import Case
from attnprobe.core.trial import Trial
from attnprobe.core.units import seconds
from attnprobe.session import Journal, run
from attnprobe.session.lines import Header
from attnprobe.worker.host import Worker

ENTRY = f"{Path(__file__).with_name('nothing.py')}:answer"
TRIALS = [Trial(Case(1, 1, 1, 4, 4, 8, 8, seed=seed), "nothing") for seed in range(200)]


def main() -> None:
    """Prints one line per cost: median, least and the limit that holds, if any."""
    print(f"{'cost':44} {'median':>10} {'least':>10} {'limit':>10}")
    bare = _timed(lambda: _python("-c", "pass"), 9)
    told = _timed(lambda: _python("-m", "attnprobe", "--help"), 9)
    _show("python -c pass", bare)
    _show("attnprobe --help, beyond that", [t - statistics.median(bare) for t in told], 0.25)
    with Worker(entry=ENTRY) as worker:
        start = _timed(lambda: worker.interpreter, 1)
        _show("first start of the child's server", start)
        _show("  of which importing torch and our own code", [worker.interpreter.import_s])
        _show("a fresh child and its first trial", _timed(lambda: _fresh(worker), 25))
        _show("a further trial, question to answer", _timed(lambda: _trial(worker), 200), 5e-3)
        began = time.perf_counter()
        run(TRIALS, worker, Journal(Header(), "/dev/null", "replace"))
        each = (time.perf_counter() - began) / len(TRIALS)
        _show("a further trial, journal included", [each], 5e-3)


def _trial(worker: Worker) -> None:
    worker.trial(TRIALS[0], 60.0)


def _fresh(worker: Worker) -> None:
    worker.retire()
    _trial(worker)


def _python(*arguments: str) -> None:
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)


def _timed(act: Callable[[], object], times: int) -> list[float]:
    found = []
    for _ in range(times):
        began = time.perf_counter()
        act()
        found.append(time.perf_counter() - began)
    return found


def _show(what: str, costs: list[float], limit: float | None = None) -> None:
    """One row; a median over its limit is marked."""
    median = statistics.median(costs)
    bound = "" if limit is None else f"{seconds(limit):>10}{'' if median <= limit else '  OVER'}"
    print(f"{what:44} {seconds(median):>10} {seconds(min(costs)):>10} {bound}".rstrip())


if __name__ == "__main__":
    main()
