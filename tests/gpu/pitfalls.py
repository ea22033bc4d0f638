"""Runs every pitfall's pair on this machine and prints what was predicted, measured and judged.

`PYTHONPATH=. python tests/gpu/pitfalls.py [--device cuda] [--only NAME ...] [--limit SECONDS]
[--json FILE]`; the file is what `attnprobe explain` shows as measured, once it lies at
`attnprobe/pitfalls/measured.json` (`--into` adds to one that exists). Exits 1 when a planted pitfall was
not confirmed, or a healthy twin was.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from datetime import date
from pathlib import Path

from attnprobe import info, pitfalls, session
from attnprobe.core.diagnosis import Finding, Suspicion
from attnprobe.core.environment import Environment
from attnprobe.diagnosis.judge import judge
from attnprobe.diagnosis.questions import paired, trials
from attnprobe.report.compose.findings import evidence, predicted
from attnprobe.session.journal import Journal
from attnprobe.session.lines import Header
from attnprobe.worker.host import Worker
from tests.pitfalls import pairs

DEADLINE_S = 60.0


def made(suspicion: Suspicion, worker: Worker) -> Finding:
    """One experiment, with its own records."""
    journal = Journal(Header("diagnose"))
    session.run(trials(suspicion), worker, journal, deadline_s=DEADLINE_S)
    session.run(paired([suspicion], journal.done), worker, journal, deadline_s=DEADLINE_S)
    return judge(suspicion, journal.done)


def sides(
    name: str, device: str, worker: Worker, machine: Environment
) -> dict[str, Finding | None]:
    """The finding of each side; None where nothing is suspected."""
    pair = pairs.load(name)
    found: dict[str, Finding | None] = {}
    for side in pairs.SIDES:
        suspected = pair.suspected(side, device, machine)
        found[side] = made(suspected[0], worker) if suspected else None
    return found


def row(finding: Finding, machine: str) -> dict[str, str]:
    """What the rule's page shows."""
    return {
        "machine": machine,
        "date": date.today().isoformat(),
        "predicted": predicted(finding),
        "verdict": finding.verdict,
        "seen": evidence(finding).partition(", measured ")[2] or finding.reason,
    }


def main() -> int:
    """Everything; one line for each rule as it ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--limit", type=float, default=1e9, help="begin no further pair after it")
    parser.add_argument("--json", type=Path, default=Path("measured.json"))
    parser.add_argument("--into", type=Path, help="add to this file's rows")
    given = parser.parse_args()
    began, bad = time.monotonic(), 0
    rows = json.loads(given.into.read_text()) if given.into and given.into.exists() else {}
    with Worker() as worker:
        environment = info.collect(worker)
        torch = environment.torch.version if environment.torch else "no torch"
        where = environment.gpus[0].name if given.device == "cuda" else environment.cpu
        machine = f"{where}, torch {torch}"
        for name in given.only or pitfalls.names():
            if given.device not in pairs.devices(name):
                continue
            if time.monotonic() - began > given.limit:
                print(f"{name}: not begun, the time is over")
                continue
            start = time.monotonic()
            found = sides(name, given.device, worker, environment)
            has, healthy = found["has"], found["healthy"]
            sound = healthy is None or healthy.verdict != "confirmed"
            right = sound and (has is None or has.verdict in ("confirmed", "would_test"))
            bad += not right
            took = time.monotonic() - start
            print(f"{'ok ' if right else 'BAD'} {name} ({took:.1f} s)")
            for side, finding in found.items():
                said = f"{finding.verdict}: {evidence(finding)}" if finding else "not suspected"
                print(f"    {side}: {' '.join(said.split())[:400]}")
            sys.stdout.flush()
            if has is not None and has.verdict != "would_test":
                kept = [r for r in rows.get(name, []) if r["machine"] != machine]
                rows[name] = [*kept, row(has, machine)]
                given.json.write_text(json.dumps(rows, indent=1, sort_keys=True) + "\n")
    print(f"{bad} bad; {time.monotonic() - began:.0f} s")
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
