"""What the user sees of a bug in attnprobe: a sentence, and a file that holds the traceback."""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import traceback
from collections.abc import Sequence

from attnprobe import __version__
from attnprobe.errors import InternalError


def explain(error: Exception, arguments: Sequence[str]) -> int:
    """Saves the traceback, says where, and returns the exit code; `ATTNPROBE_DEBUG=1` prints it."""
    if os.environ.get("ATTNPROBE_DEBUG") == "1":
        traceback.print_exception(error)
        return InternalError.exit_code
    print(f"error: a bug in attnprobe ({type(error).__name__})", file=sys.stderr)
    print(f"why: {_first_line(error)}", file=sys.stderr)
    print(f"fix: {_save(error, arguments)}", file=sys.stderr)
    return InternalError.exit_code


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or ["it gave no message"])[0][:300]


def _save(error: Exception, arguments: Sequence[str]) -> str:
    """Writes the details to a new file; they name paths of this machine, so the user shares them."""
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="attnprobe-bug-", suffix=".txt", delete=False, encoding="utf-8"
        ) as file:
            print(f"attnprobe {__version__}, Python {platform.python_version()}", file=file)
            print(f"arguments: {list(arguments)}", file=file)
            traceback.print_exception(error, file=file)
    except OSError as full:
        return f"the traceback could not be saved ({full}); run again with ATTNPROBE_DEBUG=1"
    return (
        f"open an issue at attnprobe's repository with {file.name}\n"
        "     (it holds the traceback; read it before sharing, it names paths of this machine)"
    )
