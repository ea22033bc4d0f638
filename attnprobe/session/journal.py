"""The session file while it is being written: one line, one write, never a lost record."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import time
from pathlib import Path
from types import TracebackType
from typing import Literal

from attnprobe.core.backend_fact import BackendFact
from attnprobe.core.diagnosis import Subject, Suspicion
from attnprobe.core.environment import Environment
from attnprobe.core.jsonio import encode
from attnprobe.core.report import Report
from attnprobe.core.reported import Reported
from attnprobe.core.trial import Record
from attnprobe.errors import UsageError
from attnprobe.session.lines import (
    BackendLine,
    EndLine,
    EnvironmentLine,
    Header,
    Line,
    NoteLine,
    RecordLine,
    ReportedLine,
    SubjectLine,
    SuspicionLine,
    assemble,
)
from attnprobe.session.reader import read

Mode = Literal["new", "resume", "replace"]

_CANNOT_WRITE = (errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOSPC, errno.EDQUOT)


class Journal:
    """Keeps a session in memory and, where it can, in a file.

    A file that cannot be written never costs a measurement: the session goes on in memory and
    `problem` says why, for the exit code and for the user.

    Args:
        header: What runs.
        path: The file; None keeps the session in memory.
        mode: new: the file must not exist; resume: what it holds counts as done; replace: it is emptied.

    Attributes:
        problem: Why the file does not hold (all of) this session; empty when it does.

    Raises:
        UsageError: The path is none that could be written, the file exists, or another run writes it.
        SessionError: The file to resume is no session.
    """

    def __init__(self, header: Header, path: str | Path | None = None, mode: Mode = "new") -> None:
        self.problem = ""
        self._header, self._lines = header, list[Line]()
        self._descriptor: int | None = None
        self._began = time.monotonic()
        if path is not None:
            self._open(Path(path), mode)

    @property
    def report(self) -> Report:
        """The session so far."""
        return assemble(self._header, self._lines)

    @property
    def done(self) -> dict[str, Record]:
        """Finished trials by id, those of an earlier run included."""
        return {record.trial.id: record for record in self.report.records}

    def environment(self, environment: Environment) -> None:
        """The machine.

        Raises:
            UsageError: The session that is resumed was begun on another one.
        """
        before = self.report.environment
        if before is not None and (changed := _changes(before, environment)):
            raise UsageError(
                "this session was begun in another environment",
                why="\n".join(changed),
                fix="start a new session file, and compare the two",
            )
        self._append(EnvironmentLine(environment))

    def backend(self, backend: BackendFact) -> None:
        """Claim beside fact for one backend."""
        self._append(BackendLine(backend))

    def record(self, record: Record) -> None:
        """A finished trial."""
        self._append(RecordLine(record))

    def reported(self, reported: Reported) -> None:
        """A number of the workload's sources; kept once."""
        if reported not in self.report.reported:
            self._append(ReportedLine(reported))

    def subject(self, subject: Subject) -> None:
        """A call that is looked into; kept once."""
        if subject not in self.report.subjects:
            self._append(SubjectLine(subject))

    def suspicion(self, suspicion: Suspicion) -> None:
        """What is suspected of it; kept once."""
        if suspicion not in self.report.suspicions:
            self._append(SuspicionLine(suspicion))

    def note(self, note: str) -> None:
        """Something that the reader must know; said once."""
        if note not in self.report.notes:
            self._append(NoteLine(note))

    def end(self) -> None:
        """The run came to its end."""
        self._append(EndLine(time.monotonic() - self._began))

    def close(self) -> None:
        """Closes the file and lets others have it."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _open(self, path: Path, mode: Mode) -> None:
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        except OSError as error:
            if error.errno in _CANNOT_WRITE:
                self.problem = f"{path} cannot be written: {error.strerror}"
                return
            raise UsageError(
                f"the session cannot be written to {path}", why=error.strerror or ""
            ) from None
        except ValueError as error:
            raise UsageError(f"{str(path)!r} is no path", why=str(error)) from None
        try:
            self._begin(self._descriptor, path, mode)
        except BaseException:
            self.close()
            raise

    def _begin(self, descriptor: int, path: Path, mode: Mode) -> None:
        self._lock(descriptor, path)
        size = os.fstat(descriptor).st_size
        if mode == "new" and size:
            raise UsageError(
                f"{path} exists already", fix="give --resume to go on with it, or another file name"
            )
        if mode == "resume" and size:
            self._take_over(descriptor, path)
        else:
            _cut(descriptor, 0)
            self._write(self._header)

    def _lock(self, descriptor: int, path: Path) -> None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(
                f"another run is writing {path}", fix="wait for it, or give another file name"
            ) from None
        except OSError as error:  # file systems without locks
            self._lines.append(NoteLine(f"the session file is not locked: {error.strerror}"))

    def _take_over(self, descriptor: int, path: Path) -> None:
        """Goes on with the session in the file; a torn last line is cut off, its trial runs again."""
        content = read(path)
        self._header = content.header
        self._lines += content.lines
        if content.bytes < os.fstat(descriptor).st_size:
            _cut(descriptor, content.bytes)
            self.note("the last line was torn, as by a killed run; its trial was run again")

    def _append(self, line: Line) -> None:
        self._lines.append(line)
        self._write(line)

    def _write(self, line: Header | Line) -> None:
        if self._descriptor is None:
            return
        data = (json.dumps(encode(line)) + "\n").encode()
        size = os.fstat(self._descriptor).st_size
        try:
            written = os.write(self._descriptor, data)
            why = "" if written == len(data) else "the disk is full"
        except OSError as error:
            why = error.strerror or str(error)
        if why:
            _cut(self._descriptor, size)  # no half line
            self.problem = f"the session file ends early: {why}"
            self.close()


def _cut(descriptor: int, size: int) -> None:
    """Shortens the file; a device has no length to shorten."""
    with contextlib.suppress(OSError):
        os.ftruncate(descriptor, size)


def _changes(before: Environment, now: Environment) -> list[str]:
    """What differs between two environments and would make their numbers another thing."""

    def facts(environment: Environment) -> dict[str, object]:
        torch = environment.torch
        found: dict[str, object] = {p.name: p.version for p in environment.packages}
        found |= {"python": environment.python, "driver": environment.driver}
        found |= {"torch in use": torch.version if torch else None}
        found |= {"GPUs": ", ".join(gpu.name for gpu in environment.gpus)}
        return found

    old, new = facts(before), facts(now)
    names = (name for name in {**old, **new} if old.get(name) != new.get(name))
    return [
        f"{name}: {old.get(name) or 'none'} before, {new.get(name) or 'none'} now" for name in names
    ]
