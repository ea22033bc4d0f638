"""What differs between two environments, and whether they are one device at all."""

from __future__ import annotations

from attnprobe.compare.facts import sections
from attnprobe.compare.records import Difference
from attnprobe.core.report import Report
from attnprobe.errors import UsageError


def differences(old: Report, new: Report) -> tuple[Difference, ...]:
    """What differs, the weightiest first; nothing where a session did not record its environment."""
    if old.environment is None or new.environment is None:
        return ()
    return tuple(
        Difference(name, before.get(name, ""), after.get(name, ""))
        for before, after in zip(sections(old), sections(new), strict=True)
        for name in dict.fromkeys((*before, *after))
        if before.get(name, "") != after.get(name, "")
    )


def require_one_device(old: Report, new: Report) -> None:
    """Makes sure that both sessions measured the same kind of device, as far as they say.

    Raises:
        UsageError: They did not: another GPU model, another CPU, or a GPU and a CPU.
    """
    before, after = _devices(old), _devices(new)
    shared = before.keys() & after.keys()
    if before and after and not shared:
        _refuse(" and ".join(before), " and ".join(after))
    for kind in sorted(shared):
        if before[kind] and after[kind] and before[kind] != after[kind]:
            _refuse(before[kind], after[kind])


def _refuse(old: str, new: str) -> None:
    raise UsageError(
        "the two sessions are of different devices",
        why=f"OLD measured {old}, NEW measured {new}",
        fix="--across-devices compares them all the same",
    )


def _devices(report: Report) -> dict[str, str]:
    """The model of each kind of device that trials ran on; empty text where it is not known."""
    machine = report.environment
    gpus = sorted({gpu.name for gpu in machine.gpus}) if machine else []
    models = {"cuda": ", ".join(gpus), "cpu": machine.cpu if machine else ""}
    kinds = dict.fromkeys(record.trial.case.device.partition(":")[0] for record in report.records)
    return {kind: models.get(kind, "") for kind in kinds}
