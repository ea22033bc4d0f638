"""What commands are made of: the machine, the backends' facts and trials, all kept in one session."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from attnprobe import info, plan, session
from attnprobe.core.backend_fact import BackendFact, Claim
from attnprobe.core.cost import estimate_bytes
from attnprobe.core.diagnosis import Subject, Suspicion
from attnprobe.core.environment import Environment
from attnprobe.core.report import Report
from attnprobe.core.reported import Reported
from attnprobe.core.trial import Record, Trial
from attnprobe.crew import Crew
from attnprobe.errors import UnusableHost, UsageError
from attnprobe.redact import Identity, redact
from attnprobe.session.asking import Asks
from attnprobe.session.journal import Journal, Mode
from attnprobe.session.lines import Header
from attnprobe.telemetry import Attended
from attnprobe.worker.host import Worker
from attnprobe.workload import Workload

Progress = Callable[[str], AbstractContextManager[session.Progress]]
"""Opens what shows how far a run is, under the label given."""


SIDE_BY_SIDE_BYTES = 2**30
"""A case that takes more has the machine for itself."""

TRAINING_S = 600.0
"""Seconds that one training may take, the runs it is compared with included."""

COMPILE_S = {"cuda": 4.0, "cpu": 15.0}
LONG_S, COMPILE_SHARE = 60.0, 1 / 3
"""What backends that compile get when others are checked too: seconds in which trials are begun; where
the others took longer than `LONG_S`, a share of that. FlexAttention takes 1.7 s a mask and pass on an
H200 (torch 2.11), 2 to 6 s where twelve children compile side by side on 16 cores, and 7 s on a CPU
(torch 2.13) the first time, some 0.15 s from the cache."""

COMPILE_FIRST = {"cuda": "bfloat16", "cpu": "float32"}
"""The dtype that most people run there is compiled first."""


@dataclass(frozen=True)
class Survey:
    """A worker that measures and a session that keeps what it finds.

    Args:
        worker: Asks the diagnosed interpreter.
        journal: Where everything goes at once, redacted.
        progress: Shows how far each run is.
        python: The diagnosed interpreter; None is this one.
        began: When the survey was opened, on the monotonic clock.
        crew: Workers that check side by side.
        claims: What each backend said of itself, as far as it was asked.
    """

    worker: Worker
    journal: Journal
    progress: Progress
    python: str | None
    began: float
    crew: Crew
    claims: dict[str, Claim] = field(default_factory=dict)

    def machine(self) -> Environment:
        """Finds out and keeps what this machine is."""
        environment = info.collect(self.worker, self.python)
        self.journal.environment(environment)
        return environment

    def backends(self, names: Iterable[str], device: str, launch: bool) -> None:
        """Claim beside fact for every backend.

        Args:
            names: Backends.
            device: cpu or cuda.
            launch: False takes down the claims alone.
        """
        self.claims.update(info.claims(self.worker, names))
        records: list[Record] = []
        if launch:
            records = info.prove(self._prove, self.claims, device)
        facts = info.backend_facts(self.claims, records)
        for fact in facts:
            self.journal.backend(fact)
        environment = self.journal.report.environment
        if environment is not None:  # some mismatches show only beside the facts
            self.journal.environment(info.warned(environment, facts))

    def require(self, names: Iterable[str]) -> None:
        """Makes sure that torch and the user's own callables can be loaded; keeps what is missing.

        Raises:
            UnusableHost: torch cannot be imported.
            UsageError: A `FILE.py:FUNC` or `package.module:FUNC` is not there.
        """
        self.worker.require_torch()
        self.claims.update(info.claims(self.worker, names))
        broken = [f"{n}: {c.error}" for n, c in self.claims.items() if ":" in n and c.error]
        if broken:
            raise UsageError(
                "a callable given with --backend cannot be loaded",
                why="\n     ".join(broken),
                fix="FILE.py:FUNC, or package.module:FUNC where the interpreter finds it",
            )
        for fact in info.backend_facts(self.claims, ()):
            self.journal.backend(fact)

    def check(
        self,
        label: str,
        trials: Sequence[Trial],
        budget_s: float | None = None,
        fail_fast: bool = False,
    ) -> list[Record]:
        """Runs trials whose time does not matter: small cases side by side, large ones in turn.

        Backends that compile come last; beside others they get `COMPILE_S` or `COMPILE_SHARE`,
        because their first run takes minutes. What they compiled stays in torch's cache: the next run
        gets further. `fail_fast` ends with the first wrong result.
        """
        began = time.monotonic()
        until = began + (math.inf if budget_s is None else budget_s)
        plain, compiled = self.split(trials)
        small: list[Trial] = []
        large: list[Trial] = []
        for trial in plain:
            case = trial.case  # a layer's weights and float64 reference may be large
            alone = bool(case.module) or estimate_bytes(case, True) > SIDE_BY_SIDE_BYTES
            (large if alone else small).append(trial)
        enough = plan.is_wrong if fail_fast else session.never
        found: list[Record] = []
        asked = Counter(trial.case.id for trial in small)
        small.sort(
            key=lambda trial: -asked[trial.case.id]
        )  # a case stays with one child: long ones first
        if small:
            found += self._run(label, small, self.crew.workers(small), _left(until), enough)
        if large and not any(map(enough, found)):
            words = f"{label}, large cases"
            found += self._run(words, large, self.worker, _left(until), enough)
        if compiled and not any(map(enough, found)):
            left = _left(until)
            if plain:
                share = _for_compiling(_kind(compiled[0]), time.monotonic() - began)
                left = share if left is None else min(left, share)
            crew = self.crew.workers(compiled)
            found += self._run(f"{label}, compiling", compiled, crew, left, enough)
        return found

    def usable(self, names: Iterable[str]) -> list[str]:
        """Without the backends that cannot be imported."""
        return [name for name in names if not self.claims.get(name, Claim(available=None)).error]

    def importable(self, trials: Iterable[Trial]) -> list[Trial]:
        """Without the backends that cannot be imported: asked once, they are not asked again."""
        return [trial for trial in trials if not self._claim(trial).error]

    def split(self, trials: Iterable[Trial]) -> tuple[list[Trial], list[Trial]]:
        """Importable backends that do not compile, and those that do, the common dtype first."""
        usable = self.importable(trials)
        plain = [trial for trial in usable if not self._claim(trial).compiles]
        compiled = [trial for trial in usable if self._claim(trial).compiles]
        compiled.sort(key=lambda trial: trial.case.dtype != COMPILE_FIRST[_kind(trial)])
        return plain, compiled

    def _claim(self, trial: Trial) -> Claim:
        return self.claims.get(trial.backend, Claim(available=None))

    def _prove(self, trials: Sequence[Trial]) -> list[Record]:
        return self._run("launching", trials, self.crew.workers(trials), None)

    def time(
        self,
        label: str,
        trials: Sequence[Trial],
        budget_s: float | None = None,
        follow_up: session.FollowUp = plan.forward_alone,
    ) -> list[Record]:
        """Runs trials that are timed: one at a time, nothing beside them, the machine looked at."""
        self.crew.rest()
        return self._run(label, trials, self._attended, budget_s, follow_up=follow_up)

    @cached_property
    def _attended(self) -> Attended:
        return Attended(self.worker)

    def train(self, label: str, trials: Sequence[Trial]) -> list[Record]:
        """Runs trials that train a model: in turn, as one child keeps what all are compared with."""
        self.crew.rest()
        return self._run(label, self.importable(trials), self.worker, None, deadline_s=TRAINING_S)

    def _run(
        self,
        label: str,
        trials: Sequence[Trial],
        workers: Asks | Sequence[Asks],
        budget_s: float | None,
        enough: Callable[[Record], bool] = session.never,
        deadline_s: float = session.DEADLINE_S,
        follow_up: session.FollowUp = plan.forward_alone,
    ) -> list[Record]:
        with self.progress(label) as progress:
            return session.run(
                trials,
                workers,
                self.journal,
                progress,
                what=f"trials ({label})",
                deadline_s=deadline_s,
                budget_s=budget_s,
                follow_up=follow_up,
                enough=enough,
            )

    @property
    def seconds(self) -> float:
        """Since the survey was opened."""
        return time.monotonic() - self.began

    def left_unsaid(self, workload: Workload) -> None:
        """Keeps what a workload's cases do not say of what they stand for."""
        for note in workload.notes:
            self.journal.note(note)

    def finish(self) -> Report:
        """Marks the session as complete and gives it as one record."""
        self.journal.end()
        return self.journal.report


def _kind(trial: Trial) -> str:
    return trial.case.device.partition(":")[0]


def _for_compiling(kind: str, others_took_s: float) -> float:
    return COMPILE_SHARE * others_took_s if others_took_s > LONG_S else COMPILE_S[kind]


def _left(until: float) -> float | None:
    return None if math.isinf(until) else until - time.monotonic()


@contextmanager
def opened(
    header: Header, path: Path | None, mode: Mode, python: str | None, progress: Progress
) -> Iterator[Survey]:
    """A survey that closes its worker and its session, whatever happens.

    Raises:
        UsageError: The session file exists, is in use, or `python` is no interpreter.
        SessionError: The file to resume is no session.
    """
    with (
        _Redacted(header, path, mode) as journal,
        Worker(python) as worker,
        closing(Crew(worker)) as crew,
    ):
        yield Survey(worker, journal, progress, python, time.monotonic(), crew)


def device(asked: str, environment: Environment) -> str:
    """The device to measure on.

    Args:
        asked: auto, cpu or cuda.
        environment: The machine.

    Raises:
        UnusableHost: cuda was asked for, and torch sees no GPU.
    """
    found = info.device(environment)
    if asked == "cuda" and found != "cuda":
        raise UnusableHost(
            "there is no CUDA device to measure on",
            why=environment.torch_error or "torch sees none",
            fix="`attnprobe info` says what torch and the driver see; --device cpu measures the CPU",
        )
    return found if asked == "auto" else asked


class _Redacted(Journal):
    """A journal that does not hold whose machine this is, so that the file itself can be shared."""

    def __init__(self, header: Header, path: Path | None, mode: Mode) -> None:
        super().__init__(header, path, mode)
        self._identity = Identity.of_this_host()

    def environment(self, environment: Environment) -> None:
        clean = redact(Report(environment=environment), self._identity).environment
        assert clean is not None  # it was given
        super().environment(clean)

    def backend(self, backend: BackendFact) -> None:
        super().backend(redact(Report(backends=(backend,)), self._identity).backends[0])

    def record(self, record: Record) -> None:
        super().record(redact(Report(records=(record,)), self._identity).records[0])

    def reported(self, reported: Reported) -> None:
        super().reported(redact(Report(reported=(reported,)), self._identity).reported[0])

    def subject(self, subject: Subject) -> None:
        super().subject(redact(Report(subjects=(subject,)), self._identity).subjects[0])

    def suspicion(self, suspicion: Suspicion) -> None:
        clean = redact(Report(suspicions=(suspicion,)), self._identity).suspicions[0]
        super().suspicion(clean)

    def note(self, note: str) -> None:
        super().note(redact(Report(notes=(note,)), self._identity).notes[0])
