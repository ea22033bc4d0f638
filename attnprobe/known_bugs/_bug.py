"""What a known bug is: who is said to be affected, what is run, and how outcomes are read."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from attnprobe.core.case import Case
from attnprobe.core.environment import Environment
from attnprobe.core.outcome import Outcome
from attnprobe.core.trial import Record, Trial
from attnprobe.known_bugs._ranges import Hardware, Versions

QUESTION = "known-bug"
"""Of the trials of known bugs: answered as `check` is, and told apart from it in a session."""


@dataclass(frozen=True)
class Answer:
    """Whether the bug is there.

    Args:
        affected: yes, no, or cannot tell.
        reason: What was seen, or why nothing was.
    """

    affected: Literal["yes", "no", "cannot tell"]
    reason: str


Reading = Callable[[Outcome], Answer]
"""What one outcome says of a bug."""


@dataclass(frozen=True)
class KnownBug:
    """One bug of a library.

    Args:
        title: One sentence: what happens, where.
        sources: Public threads, `repository#number`.
        versions: Any of these is affected, as reported; a report may be wrong in both directions, so
            the trials decide and this is said beside them.
        hardware: What it takes to see it.
        suspects: What is run; the bug is there when any of them shows it.
        reading: What an outcome says.
        controls: One edit away from the suspects and said to be right; where one shows the bug as
            well, it is another bug.
        way_out: What avoids it.
    """

    title: str
    sources: tuple[str, ...]
    versions: tuple[Versions, ...]
    suspects: tuple[Trial, ...]
    reading: Reading
    controls: tuple[Trial, ...] = ()
    hardware: Hardware = field(default_factory=Hardware)
    way_out: str = ""

    @property
    def trials(self) -> tuple[Trial, ...]:
        """Everything that is run to find out."""
        return (*self.suspects, *self.controls)

    @property
    def range(self) -> str:
        """Who is said to be affected, in words."""
        said = " or ".join(versions.text for versions in self.versions)
        return ", ".join(filter(None, (said, self.hardware.text)))

    def affected_versions(self, environment: Environment) -> bool | None:
        """Whether the reports name what is here; None when a version is not known."""
        here = self.hardware.covers(environment)
        if here is False:
            return False
        covered = [versions.covers(environment) for versions in self.versions]
        if any(covered):
            return here
        return None if None in covered else False

    def judge(self, records: Iterable[Record], unusable: Container[str] = ()) -> Answer:
        """What the trials say.

        Args:
            records: Of any trials; those of this bug are picked.
            unusable: Backends that cannot be imported; at least one suspect can.
        """
        outcomes = {record.trial.id: record.outcome for record in records}
        read = {t.id: _read(self.reading, outcomes.get(t.id)) for t in self.trials}
        suspects = [read[t.id] for t in self.suspects if t.backend not in unusable]
        seen = next((answer for answer in suspects if answer.affected == "yes"), None)
        if seen is None:
            return next((a for a in suspects if a.affected == "cannot tell"), suspects[0])
        for trial in self.controls:
            if read[trial.id].affected == "yes":
                shown = f"the control ({trial.case.label}) shows it too: {read[trial.id].reason}"
                return Answer("cannot tell", shown)
        return seen


def _read(reading: Reading, outcome: Outcome | None) -> Answer:
    return Answer("cannot tell", "its trial was not run") if outcome is None else reading(outcome)


def ask(case: Case, *backends: str, edits: Mapping[str, Any] | None = None) -> tuple[Trial, ...]:
    """The question of a known bug about a case, put to backends.

    Args:
        case: The attention call.
        backends: Who is asked.
        edits: Fields of the case to change first; a control is one edit away.
    """
    changed = case.edit(**(edits or {}))
    return tuple(Trial(changed, backend, QUESTION) for backend in backends)
