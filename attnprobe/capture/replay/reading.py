"""Text that may be a capture: recognised by its schema, held against the records."""

from __future__ import annotations

import re
from functools import cache

from pydantic import TypeAdapter
from pydantic_core import from_json

from attnprobe.core.capture import SCHEMA, Capture
from attnprobe.errors import UsageError
from attnprobe.session.validation import Unreadable, validated

LARGEST = 64 * 2**20
"""Bytes of a capture file; one call is a few kilobytes."""

_SCHEMA = re.compile(r"attnprobe-capture/(\d{1,9})")
_FIX = "make it anew: attnprobe capture -o FILE -- SCRIPT ARGS"


def is_capture(content: bytes) -> bool:
    """Whether this is meant to be a capture: a JSON object that says so, or the beginning of one."""
    start = content[:4096].lstrip()
    return start.startswith(b"{") and b'"attnprobe-capture/' in start


def read(content: bytes, name: str) -> Capture:
    """The capture in a file.

    Args:
        content: What is in it.
        name: What errors call it.

    Raises:
        UsageError: It is cut off, holds what no capture holds, or was written by a newer version.
    """
    _require_known(content, name)
    try:
        return validated(_adapter(), content)
    except Unreadable as error:
        raise UsageError(f"capture {name} cannot be read", why=str(error), fix=_FIX) from None


def _require_known(content: bytes, name: str) -> None:
    """Refuses another version before what it holds is judged.

    Raises:
        UsageError: A newer version, or no version.
    """
    try:
        data = from_json(content)
    except ValueError:
        return  # what is wrong is said when it is read
    schema = data.get("schema") if isinstance(data, dict) else None
    version = _SCHEMA.fullmatch(schema) if isinstance(schema, str) else None
    if version is None:
        raise UsageError(f"{name} is no capture", why="its schema is unknown", fix=_FIX)
    if int(version[1]) > int(SCHEMA.rpartition("/")[2]):
        raise UsageError(
            f"capture {name} was written by a newer attnprobe",
            why=f"its schema is {schema}; this version reads up to {SCHEMA}",
            fix="pip install --upgrade attnprobe",
        )


@cache
def _adapter() -> TypeAdapter[Capture]:
    return TypeAdapter(Capture)
