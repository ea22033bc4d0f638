"""Which trials of two sessions are the same question."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from attnprobe.core.sampling import DEFAULT
from attnprobe.core.trial import Record, Trial


@dataclass(frozen=True)
class Matched:
    """Records of two sessions, trial by trial.

    Args:
        pairs: What both asked, in OLD's order.
        only_old: What only OLD asked.
        only_new: What only NEW asked.
    """

    pairs: tuple[tuple[Record, Record], ...]
    only_old: tuple[Record, ...]
    only_new: tuple[Record, ...]


def renamed(records: Iterable[Record], names: Mapping[str, str]) -> list[Record]:
    """The records as if their backends had been called otherwise.

    Args:
        records: Of one session.
        names: The other name, by the name that is there.
    """

    def called(name: str) -> str:
        return names.get(name, name)

    return [
        replace(
            r, trial=replace(r.trial, backend=called(r.trial.backend), rival=called(r.trial.rival))
        )
        for r in records
    ]


def matched(old: Iterable[Record], new: Iterable[Record], across_devices: bool) -> Matched:
    """Pairs the records by the trial's id; what is left, by its id whatever the sampling.

    Args:
        old: Records of OLD.
        new: Records of NEW.
        across_devices: Whether a case on a GPU may pair with that case on a CPU.
    """
    keys = [_exactly, _whatever_the_sampling]
    keys += [_whatever_the_device] if across_devices else []
    before, after = list(old), list(new)
    found: list[tuple[Record, Record]] = []
    for key in keys:
        ours = {key(record.trial): record for record in before}
        theirs = {key(record.trial): record for record in after}
        pairs = [(ours[name], theirs[name]) for name in ours if name in theirs]
        found += pairs
        done = {record.trial.id for record, _ in pairs}, {record.trial.id for _, record in pairs}
        before = [record for record in before if record.trial.id not in done[0]]
        after = [record for record in after if record.trial.id not in done[1]]
    return Matched(tuple(found), tuple(before), tuple(after))


def _exactly(trial: Trial) -> str:
    return trial.id


def _whatever_the_sampling(trial: Trial) -> str:
    return replace(trial, sampling=DEFAULT).id


def _whatever_the_device(trial: Trial) -> str:
    return _whatever_the_sampling(replace(trial, case=trial.case.edit(device="")))
