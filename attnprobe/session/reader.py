"""Reads a session file, whole or torn, ours or hostile."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from attnprobe.core.report import SCHEMA, Report
from attnprobe.errors import SessionError
from attnprobe.session.lines import Header, Line, NoteLine, assemble
from attnprobe.session.validation import Unreadable, read_header, read_line

_LONGEST_LINE = 16 * 2**20  # bytes; a record is some kilobytes
_HEADER_LINE = 2**16
_NAMED_LINES = 5
_SCHEMA = re.compile(r"attnprobe/(\d{1,9})")


@dataclass(frozen=True)
class Content:
    """What a session file holds.

    Args:
        header: Its first line.
        lines: The lines that could be read.
        problems: What is wrong with the others.
        bytes: Where its last whole line ends; what follows is torn.
    """

    header: Header
    lines: tuple[Line, ...]
    problems: tuple[str, ...]
    bytes: int


def load(path: str | Path) -> Report:
    """The session in a file; what cannot be read of it is said in the report's notes.

    Raises:
        SessionError: There is no session in that file, or one of a newer version.
    """
    content = read(Path(path))
    named = [f"dropped {problem}" for problem in content.problems[:_NAMED_LINES]]
    if further := len(content.problems) - len(named):
        named.append(f"dropped {further} further lines")
    return assemble(content.header, [*map(NoteLine, named), *content.lines])


def read(path: Path) -> Content:
    """Everything in a session file.

    Raises:
        SessionError: There is no session in that file, or one of a newer version.
    """
    name = ascii(str(path))
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise SessionError(f"{name} is not a file", fix=_FIX)
        with open(path, "rb") as file:
            header = _header(name, file.readline(_HEADER_LINE))
            return _body(header, file)
    except OSError as error:
        raise SessionError(f"{name} cannot be read", why=error.strerror or "", fix=_FIX) from None
    except ValueError:  # a NUL in the path
        raise SessionError(f"{name} is no path", fix=_FIX) from None


_FIX = "give the session.jsonl that a run of attnprobe wrote"


def _header(name: str, first: bytes) -> Header:
    if not first.strip():
        raise SessionError(f"{name} is empty", why="its run ended before it began", fix=_FIX)
    try:
        header = read_header(first)
    except Unreadable as error:
        raise SessionError(
            f"{name} is not a session", why=f"its first line is no header: {error}", fix=_FIX
        ) from None
    version = _SCHEMA.fullmatch(header.schema)
    ours = int(SCHEMA.partition("/")[2])
    if version is None:
        raise SessionError(f"{name} is not a session", why="its schema is unknown", fix=_FIX)
    if int(version[1]) > ours:
        raise SessionError(
            f"{name} was written by a newer attnprobe",
            why=f"its schema is {header.schema}; this version reads up to {SCHEMA}",
            fix="pip install --upgrade attnprobe",
        )
    return header


def _body(header: Header, file: BinaryIO) -> Content:
    lines: list[Line] = []
    problems: list[str] = []
    whole = file.tell()
    for number, line in enumerate(_bounded(file), start=2):
        if not line.endswith(b"\n"):
            problems.append(f"line {number}: cut off, as by a killed run or a full disk")
            break
        if len(line) > _LONGEST_LINE:
            problems.append(f"line {number}: longer than {_LONGEST_LINE >> 20} MiB")
        else:
            try:
                lines.append(read_line(line))
            except Unreadable as error:
                problems.append(f"line {number}: {error}")
        whole = file.tell()
    return Content(header, tuple(lines), tuple(problems), whole)


def _bounded(file: BinaryIO) -> Iterator[bytes]:
    """Lines; of one that is too long only so much as shows that it is, and its last byte."""
    while line := file.readline(_LONGEST_LINE + 1):
        last = line
        while len(last) > _LONGEST_LINE and not last.endswith(b"\n"):
            last = file.readline(_LONGEST_LINE + 1) or b"?"
        yield line if line is last else line + last[-1:]
