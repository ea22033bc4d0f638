"""Writes scripts of what a session found wrong, runs each, and keeps both beside a table of the results.

    python tests/gpu/repros.py SESSION DIR [--python PYTHON] [--each 2] [--jobs 4] [--only WORD ...]

Of every backend and kind of failure the first trials are taken, of different cases where there are
several. `attnprobe repro` writes each to DIR/NAME.py, made small for a few seconds first, and PYTHON
runs it within a time limit. DIR/summary.md is written anew after every script, so that a run which is
cut short loses nothing: it says who is wrong in what, with which versions, and how each script ended
(1 the bug is there, 0 it is not, 125 it cannot be told, -N killed by a signal).

Several scripts run at a time; those that need much memory, or are about memory, run alone at the end.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from attnprobe import session as sessions
from attnprobe.core.outcome import Crashed, Measured, OutOfMemory, Raised, TimedOut
from attnprobe.core.report import Report
from attnprobe.core.trial import ONE_CALL, Record
from attnprobe.errors import UsageError
from attnprobe.redact import Identity, redact
from attnprobe.repro import calls
from attnprobe.repro.told import libraries, place

LARGE = 2**27
"""Scores of a case, in float64 1 GiB, from which on its script has the machine for itself."""
LAST_LINES = 8


@dataclass(frozen=True)
class Kept:
    """A trial that gets a script.

    Args:
        record: What became of it.
        failure: In a word or two; scripts of one backend and failure are alike.
        name: Of the script, without its suffix.
    """

    record: Record
    failure: str
    name: str

    @property
    def alone(self) -> bool:
        """Whether other scripts beside it could change what it shows, or it what they show."""
        case = self.record.trial.case
        scores = case.B * case.Hq * case.Mq * case.Mkv
        return scores > LARGE or isinstance(self.record.outcome, OutOfMemory | TimedOut)


@dataclass(frozen=True)
class Ended:
    """How a process ended.

    Args:
        status: Exit status, negative for a signal, "time limit", or why it was not begun.
        lines: The last lines that it printed.
    """

    status: str
    lines: tuple[str, ...] = ()


def failure(record: Record) -> str:
    """What is wrong, coarsely; empty for what is right, was refused or had no memory."""
    match record.outcome:
        case Measured(parity=parity) if parity is not None and parity.verdict == "fail":
            return parity.failures[0].kind if parity.failures else "accuracy"
        case Raised(type=kind):
            return f"raises {kind}"
        case Crashed(signal=name, exit_code=code):
            return f"dies of {name}" if name else f"exits with {code}"
        case TimedOut():
            return "hangs"
    return ""


def kept(records: Iterable[Record], each: int) -> list[Kept]:
    """At most `each` trials of a backend and a failure, of different cases as far as there are."""
    alike: dict[tuple[str, str], list[Record]] = defaultdict(list)
    for record in records:
        if what := failure(record):
            alike[record.trial.backend, what].append(record)
    found, used = [], Counter[str]()
    for (_, what), group in alike.items():
        for record in list(_varied(group))[:each]:
            name = _name(record, what)
            used[name] += 1
            found.append(Kept(record, what, f"{name}-{used[name]}" if used[name] > 1 else name))
    return found


def _varied(records: list[Record]) -> Iterator[Record]:
    """The first of every case and question, then the second of each, and so on."""
    seen = Counter[tuple[str, str]]()
    rank = {}
    for record in records:
        key = (record.trial.case.name, record.trial.question)
        rank[record.trial.id] = seen[key]
        seen[key] += 1
    yield from sorted(records, key=lambda record: rank[record.trial.id])


def _name(record: Record, what: str) -> str:
    """`sdpa-cudnn-unaligned-dq`: who, when, and the tensor or what is wrong with it."""
    trial, outcome = record.trial, record.outcome
    who = trial.backend.rpartition("/")[2].rpartition(":")[2]
    asked = "" if trial.question in ONE_CALL else trial.question
    tensor = ""
    if isinstance(outcome, Measured) and outcome.parity and outcome.parity.failures:
        tensor = outcome.parity.failures[0].of
    words = (who, trial.case.name, asked, tensor if what == "accuracy" else f"{what} {tensor}")
    parts = (re.sub(r"[^a-z0-9]+", "-", word.lower()).strip("-") for word in words)
    return "-".join(dict.fromkeys(filter(None, parts)))


def run(command: list[str], limit_s: float) -> Ended:
    """The command in a session of its own, which is killed as a whole at its time limit."""
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as process:
        try:
            printed, _ = process.communicate(timeout=limit_s)
            status = str(process.returncode)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            printed, _ = process.communicate()
            status = "time limit"
    return Ended(status, tuple(printed.strip().splitlines()[-LAST_LINES:]))


@dataclass(frozen=True)
class Loop:
    """What is done with each trial.

    Args:
        session: The session's file.
        folder: Where scripts go.
        python: Who runs them.
        shrink_s: Seconds to make a case smaller.
        limit_s: Seconds for one script.
        until: Time (monotonic) after which no further script is begun.
    """

    session: str
    folder: Path
    python: str
    shrink_s: float
    limit_s: float
    until: float

    def __call__(self, item: Kept) -> Ended:
        """Writes one script and runs it."""
        if time.monotonic() > self.until:
            return Ended("not begun: no time was left")
        script = self.folder / f"{item.name}.py"
        command = [sys.executable, "-m", "attnprobe", "repro", self.session, item.record.trial.id]
        options = ["-o", str(script), "--budget", str(self.shrink_s), "--python", self.python]
        written = run([*command, *options], self.shrink_s + self.limit_s)
        if written.status != "0":
            return Ended("not written", written.lines)
        return run([self.python, str(script)], self.limit_s)


def summary(report: Report, items: list[Kept], ended: dict[str, Ended]) -> str:
    """The table, and below it the last lines of every script."""
    rows = [
        "| backend | failure | case | versions | exit | script |",
        "|---|---|---|---|---|---|",
    ]
    words = []
    for item in items:
        trial, end = item.record.trial, ended.get(item.name, Ended("not ended"))
        asked = "" if trial.question in ONE_CALL else f", {trial.question}"
        case = f"{trial.case.name}{asked}: {trial.case.label}"
        cells = (trial.backend, item.failure, case, _versions(report, item.record))
        rows.append(_row(*cells, end.status, f"[{item.name}.py]({item.name}.py)"))
        words += [f"## {item.name}: {end.status}", "", "```text", *end.lines, "```", ""]
    counted = Counter(ended[item.name].status for item in items if item.name in ended)
    said = ", ".join(f"{status}: {n}" for status, n in counted.most_common())
    head = f"{len(items)} scripts; exit status {said or 'of none yet'}."
    seen = f"Seen on {', '.join(place(report.environment)) or 'a machine that is not known'}."
    return "\n".join(["# What was wrong, as scripts", "", head, seen, "", *rows, "", *words])


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _versions(report: Report, record: Record) -> str:
    """Of torch and of the library that is called."""
    try:
        package = calls.write(record.trial.case, record.trial.backend).package
    except UsageError:  # nobody knows how it is called
        package = "torch"
    return ", ".join(libraries(report.environment, package))


def main() -> int:
    """The command line; returns 0 when every script showed its bug."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("session", metavar="SESSION")
    parser.add_argument("folder", metavar="DIR", type=Path)
    parser.add_argument("--python", default="python3", help="the diagnosed Python")
    parser.add_argument("--each", type=int, default=2, help="scripts per backend and failure")
    parser.add_argument("--only", nargs="+", default=[""], help="names that hold one of these")
    parser.add_argument("--jobs", type=int, default=max(1, min(6, (os.cpu_count() or 1) // 2)))
    parser.add_argument("--shrink", type=float, default=20.0, help="seconds to make a case smaller")
    parser.add_argument("--limit", type=float, default=120.0, help="seconds for one script")
    parser.add_argument("--total", type=float, default=540.0, help="seconds to begin scripts in")
    given = parser.parse_args()
    report = redact(sessions.load(given.session), Identity.of_this_host())
    found, ended = kept(report.records, given.each), dict[str, Ended]()
    items = [item for item in found if any(word in item.name for word in given.only)]
    given.folder.mkdir(parents=True, exist_ok=True)
    until = time.monotonic() + given.total
    loop = Loop(given.session, given.folder, given.python, given.shrink, given.limit, until)
    for jobs, batch in (
        (given.jobs, [item for item in items if not item.alone]),
        (1, [item for item in items if item.alone]),
    ):
        with ThreadPoolExecutor(jobs) as pool:
            futures = {pool.submit(loop, item): item for item in batch}
            for future in as_completed(futures):
                item = futures[future]
                ended[item.name] = future.result()
                print(f"{len(ended)} of {len(items)}: {item.name}: {ended[item.name].status}")
                (given.folder / "summary.md").write_text(summary(report, items, ended))
    return 0 if all(end.status == "1" for end in ended.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
