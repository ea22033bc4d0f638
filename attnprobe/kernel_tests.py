"""A callable's level of `check` as tests with names: what the pytest plugin is made of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from types import TracebackType

from attnprobe import info, plan, profiles, survey
from attnprobe.core.outcome import Measured, Refused
from attnprobe.core.trial import Record, Trial
from attnprobe.errors import UsageError
from attnprobe.report.compose.broken import describe
from attnprobe.worker.host import Worker

LEVELS = ("quick", "full")
DEADLINE_S = 60.0
SHOWN = 5


class Laboratory:
    """Plans trials and has them answered in a child process, which a crash costs and nothing else.

    Nothing is started before it is needed; close it: it is a context manager.
    """

    def __init__(self) -> None:
        self._worker = Worker()
        self._device = ""

    def trials(
        self,
        backend: str,
        level: str = "quick",
        masks: Iterable[str] = (),
        dtypes: Iterable[str] = (),
        device: str = "auto",
        seed: int = 0,
    ) -> list[Trial]:
        """All questions of a level to one callable.

        Args:
            backend: `FILE.py:FUNC` or `package.module:FUNC`.
            level: The shipped workload `check-LEVEL`.
            masks: Names of cases or masks; none is all.
            dtypes: Element types; none is all.
            device: auto, cpu or cuda.
            seed: Moves the seeds of all cases.

        Raises:
            UsageError: No such level, mask or dtype.
            UnusableHost: There is no such device, or no torch.
        """
        if level not in LEVELS:
            raise UsageError(f"there is no level {level!r}", fix=f"one of {', '.join(LEVELS)}")
        wanted = plan.choose(profiles.load(f"check-{level}"), masks, dtypes)
        return plan.trials(plan.place(wanted, self.device(device), seed), [backend])

    def device(self, asked: str) -> str:
        """The device that `auto` means here; asks the machine once."""
        if asked != "auto":
            return asked
        self._worker.require_torch()
        self._device = self._device or survey.device("auto", info.collect(self._worker, None))
        return self._device

    def ask(self, trial: Trial) -> Record:
        """One trial and what became of it."""
        return self._worker.trial(trial, DEADLINE_S)

    def close(self) -> None:
        """Ends the child."""
        self._worker.close()

    def __enter__(self) -> Laboratory:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def names(trials: Iterable[Trial]) -> list[str]:
    """A name for each trial: case, shape where names are shared, dtype and question; all different."""
    listed = list(trials)
    found = [_name(trial, with_shape=False) for trial in listed]
    shared = Counter(found)
    found = [
        _name(trial, with_shape=True) if shared[name] > 1 else name
        for trial, name in zip(listed, found, strict=True)
    ]
    shared = Counter(found)
    return [
        f"{name}-{trial.case.id}" if shared[name] > 1 else name
        for trial, name in zip(listed, found, strict=True)
    ]


def _name(trial: Trial, with_shape: bool) -> str:
    case = trial.case
    shape = ".".join(case.label.split()[:4]) if with_shape else ""
    name = case.name or case.mask.text.replace(" ", "")
    return "-".join(filter(None, (name, shape, case.dtype, trial.question)))


def complaint(record: Record) -> str:
    """What is wrong, in the words of `check`; empty when nothing is, or nothing was found out."""
    outcome, case = record.outcome, record.trial.case
    if isinstance(outcome, Refused):
        return ""
    if not isinstance(outcome, Measured):
        return f"{case.label}\n{describe(outcome)}"
    parity = outcome.parity
    if parity is None or parity.verdict != "fail":
        return ""
    said = [
        "; ".join(
            part
            for part in (
                f"{f.kind}: {f.message}",
                f"explained by: {f.hypothesis}" if f.is_explained else f.hypothesis,
                f.where and f"where: {f.where}",
            )
            if part
        )
        for f in parity.failures
    ]
    held = f"held to the contract {parity.contract}; it meets {parity.numerics_class or 'none'}"
    return "\n".join([case.label, *said, held])


def unsaid(record: Record) -> str:
    """Why nothing was found out: a refusal, an experiment that says nothing here, a bound too wide."""
    match record.outcome:
        case Refused() as refused:
            return describe(refused)
        case Measured(parity=parity) if parity is not None and parity.verdict == "none":
            return parity.unsaid or "nothing was compared"
        case Measured(parity=parity) if parity is not None and parity.verdict == "no_power":
            return "rounding may be so large on this input that the result is no evidence"
        case _:
            return ""


def verdict(trials: Iterable[Trial], ask: Callable[[Trial], Record]) -> str:
    """What is wrong with any of the trials, in one text; empty when nothing is.

    Raises:
        UsageError: Not one trial was answered: the callable refuses them all.
    """
    records = [ask(trial) for trial in trials]
    wrong = [text for record in records if (text := complaint(record))]
    if wrong:
        more = f"\n\nand {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
        shown = "\n\n".join(wrong[:SHOWN])
        return f"{len(wrong)} of {len(records)} trials are wrong\n\n{shown}{more}"
    silent = [unsaid(record) for record in records]
    if records and all(silent):
        raise UsageError("none of the trials says anything", why=silent[0])
    return ""
