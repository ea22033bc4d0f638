"""Claim beside fact, for every backend."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from attnprobe.core.backend_fact import BackendFact, Claim, Fact, Launch
from attnprobe.core.outcome import Refused
from attnprobe.core.trial import Record
from attnprobe.info.words import fact, reasons
from attnprobe.remedies import fix_for

FURTHEST: tuple[Fact, ...] = (
    "wrong",
    "runs",
    "raised",
    "crashed",
    "timed_out",
    "out_of_memory",
    "refused",
    "broken",
    "absent",
    "not_run",
)
"""What a backend's launches add up to: `wrong` if any was, else the furthest that one got."""


def backend_facts(
    claims: Mapping[str, Claim], records: Iterable[Record]
) -> tuple[BackendFact, ...]:
    """One line per backend, in the order of the claims.

    Args:
        claims: By backend.
        records: Launches; may be empty (nothing was to be run).
    """
    by_backend: dict[str, list[Record]] = {name: [] for name in claims}
    for record in records:
        by_backend.setdefault(record.trial.backend, []).append(record)
    return tuple(
        _fact(name, claims.get(name, Claim(available=None)), found)
        for name, found in by_backend.items()
    )


def _fact(name: str, claim: Claim, records: list[Record]) -> BackendFact:
    kept = _furthest_per_question(records)
    launches = tuple(_launch(record) for record in kept)
    found = min(
        (launch.fact for launch in launches), key=FURTHEST.index, default=_unlaunched(claim)
    )
    said = _reasons(claim, launches)
    fixes = (r.outcome.fix for r in kept if isinstance(r.outcome, Refused) and r.outcome.fix)
    return BackendFact(
        name=name,
        package=claim.package,
        version=claim.version,
        claim=claim,
        fact=found,
        launches=launches,
        reasons=said,
        fix="" if found == "runs" else fix_for(*said) or next(fixes, ""),
    )


def _reasons(claim: Claim, launches: tuple[Launch, ...]) -> tuple[str, ...]:
    """Each reason once: why it could not be asked, then what stood in the way of most launches."""
    count = Counter(reason for launch in launches for reason in launch.reasons)
    told = (claim.error, *(reason for reason, _ in count.most_common()))
    return tuple(dict.fromkeys(reason for reason in told if reason))


def _unlaunched(claim: Claim) -> Fact:
    if claim.absent:
        return "absent"
    return "broken" if claim.error else "not_run"


def _furthest_per_question(records: list[Record]) -> list[Record]:
    """Per element type and pass the first record that got furthest: a refused storage is no finding."""
    asked: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        asked.setdefault((record.trial.case.dtype, record.trial.case.passes), []).append(record)
    return [min(same, key=lambda r: FURTHEST.index(fact(r.outcome))) for same in asked.values()]


def _launch(record: Record) -> Launch:
    case = record.trial.case
    return Launch(case.dtype, case.passes, fact(record.outcome), reasons(record.outcome))
