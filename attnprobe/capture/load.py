"""Reads a capture file on the host, whoever wrote it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pydantic import TypeAdapter

from attnprobe.core.capture import SCHEMA, Capture
from attnprobe.errors import SessionError
from attnprobe.session.validation import Unreadable, validated


@dataclass(frozen=True)
class _Head:
    """What every version of the form says."""

    schema: str = ""


@cache
def _capture() -> TypeAdapter[Capture]:
    """Built when the first capture is read; workloads in YAML need none."""
    return TypeAdapter(Capture)


@cache
def _head() -> TypeAdapter[_Head]:
    return TypeAdapter(_Head)


_LARGEST = 256 * 2**20
"""Bytes; two thousand calls are some megabytes."""


def load(path: str | Path) -> Capture:
    """The capture in a file.

    Raises:
        SessionError: There is none, or one of a newer version.
    """
    name = ascii(str(path))
    fix = "give the file that `attnprobe capture -o FILE` wrote"
    try:
        with open(path, "rb") as file:
            text = file.read(_LARGEST + 1)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "it is no path"
        raise SessionError(f"{name} cannot be read", why=why, fix=fix) from None
    if len(text) > _LARGEST:
        raise SessionError(f"{name} is larger than {_LARGEST >> 20} MiB", fix=fix)
    try:
        _hold_version(name, validated(_head(), text).schema)  # before its fields are judged by ours
        return validated(_capture(), text)
    except Unreadable as error:
        raise SessionError(f"{name} is no capture", why=str(error), fix=fix) from None


def is_capture(path: str | Path) -> bool:
    """Whether a file begins as captures do; it may still be broken."""
    try:
        with open(path, "rb") as file:
            return b'"attnprobe-capture/' in file.read(200)
    except (OSError, ValueError):
        return False


def _hold_version(name: str, schema: str) -> None:
    stem, _, ours = SCHEMA.partition("/")
    match = re.fullmatch(rf"{stem}/(\d{{1,9}})", schema)
    if match is None:
        raise SessionError(f"{name} is no capture", why="its schema is unknown")
    if int(match[1]) > int(ours):
        raise SessionError(
            f"{name} was written by a newer attnprobe",
            why=f"its schema is {schema}; this version reads up to {SCHEMA}",
            fix="pip install --upgrade attnprobe",
        )
