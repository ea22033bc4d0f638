"""Two sessions side by side: what differs between their environments, then what became of every trial.

Nothing here runs anything: whatever is said is a reading of two session files.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from attnprobe.compare import conditions, machines, matching, outcomes, ratios, speeds
from attnprobe.compare.records import Comparison, Pair, Speed
from attnprobe.core.report import Report
from attnprobe.core.trial import Record
from attnprobe.errors import UsageError

__all__ = ["compare"]


def compare(
    old: Report,
    new: Report,
    renamed: Mapping[str, str] | None = None,
    across_devices: bool = False,
) -> Comparison:
    """What became of every trial of OLD in NEW.

    Args:
        old: The first session.
        new: The second one.
        renamed: What NEW calls a backend, by what OLD calls it.
        across_devices: Compare sessions of different devices all the same.

    Raises:
        UsageError: The sessions are of different devices, or have no trial in common.
    """
    if not across_devices:
        machines.require_one_device(old, new)
    records = matching.renamed(old.records, renamed or {})
    found = matching.matched(records, new.records, across_devices)
    if not found.pairs:
        raise _nothing_in_common(old, new)
    timed = [list(_comparable(pair)) for pair in found.pairs]
    comparable = [each for of_pair in timed for each in of_pair if not isinstance(each, str)]
    confidence = ratios.shared(len(comparable))
    apart = any(isinstance(each, speeds.Apart) for each in comparable)
    return Comparison(
        old,
        new,
        machines.differences(old, new),
        tuple(conditions.warnings(old, new, apart)),
        tuple(
            _pair(*pair, of_pair, confidence)
            for pair, of_pair in zip(found.pairs, timed, strict=True)
        ),
        found.only_old,
        found.only_new,
        len(comparable),
        confidence,
    )


def _comparable(pair: tuple[Record, Record]) -> Iterator[speeds.Comparable | str]:
    old, new = pair
    return speeds.comparable(old.outcome, new.outcome, new.trial.case.device)


def _pair(
    old: Record, new: Record, timed: Iterable[speeds.Comparable | str], confidence: float
) -> Pair:
    told = [each if isinstance(each, str) else each.speed(confidence) for each in timed]
    memory = outcomes.memory(old.outcome, new.outcome)
    if isinstance(memory, str):
        told.append(memory)
    return Pair(
        old,
        new,
        outcomes.change(old.outcome, new.outcome),
        tuple(each for each in told if isinstance(each, Speed)),
        None if isinstance(memory, str) else memory,
        outcomes.kernels(old.outcome, new.outcome),
        tuple(each for each in told if isinstance(each, str)),
    )


def _nothing_in_common(old: Report, new: Report) -> UsageError:
    """Why no trial of one session is in the other one."""
    if not old.records or not new.records:
        empty = "OLD" if not old.records else "NEW"
        why = f"{empty} holds no trial"
    elif old.seed != new.seed:
        why = f"their seeds differ: {old.seed} and {new.seed}, so their numbers do"
    else:
        why = f"OLD ran {_what(old)}, NEW ran {_what(new)}"
    return UsageError(
        "the two sessions have no trial in common",
        why=why,
        fix="run the same command in both environments, with --session FILE",
    )


def _what(report: Report) -> str:
    backends = dict.fromkeys(record.trial.backend for record in report.records)
    names = ", ".join([*backends][:3]) + (", ..." if len(backends) > 3 else "")
    return f"{report.command} {report.workload}".strip() + f" with {names}"
