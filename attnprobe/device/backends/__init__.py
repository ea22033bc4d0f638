"""One file per backend: the file is the registration. Importing this package imports no torch.

`backends/sdpa_flash.py` holds one instance named `BACKEND` and is spelled `sdpa-flash`. Other packages
add backends through the entry-point group `attnprobe.backends`; a user adds a callable by naming it,
`FILE.py:FUNC` or `package.module:FUNC`. `written/HABIT` and `mended/HABIT` are the sides of a habit
(device/habits/): they answer trials as backends do and are listed nowhere.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable
from difflib import get_close_matches
from fnmatch import fnmatchcase
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING

from attnprobe.device import habits
from attnprobe.errors import UsageError

if TYPE_CHECKING:
    from attnprobe.device.backends.base import Backend

GROUP = "attnprobe.backends"


@cache
def names() -> tuple[str, ...]:
    """All backends, as spelled on the command line: the files beside this one, then the outsiders."""
    files = (
        m.name for m in pkgutil.iter_modules(__path__) if m.name[0] != "_" and m.name != "base"
    )
    own = sorted(name.replace("_", "-") for name in files)
    return (*own, *sorted(_outsiders().keys() - set(own)))


def match(patterns: Iterable[str]) -> tuple[str, ...]:
    """The backends that any of the patterns names, in the order of `names()`; callables come last.

    Args:
        patterns: Names, globs (`sdpa-*`), `FILE.py:FUNC` or `package.module:FUNC`.

    Raises:
        UsageError: A pattern names nothing; says what is near.
    """
    chosen: set[str] = set()
    callables: list[str] = []
    for pattern in patterns:
        if ":" in pattern:
            callables.append(pattern)
            continue
        found = {name for name in names() if fnmatchcase(name, pattern)}
        if not found:
            raise _unknown(pattern)
        chosen |= found
    return (*(name for name in names() if name in chosen), *dict.fromkeys(callables))


def load(name: str) -> Backend:
    """Imports one backend; needs torch. A library that is missing shows only when it is used.

    Raises:
        UsageError: No such backend, file or function.
        Exception: Whatever an outsider's import or a user's file raises.
    """
    if ":" in name:
        from attnprobe.device.backends._user import UserCallable

        return UserCallable.load(name)
    if habits.is_side(name):
        return habits.load(name)
    file = name.replace("-", "_")
    if name in names() and name not in _outsiders():
        backend: Backend = importlib.import_module(f"{__name__}.{file}").BACKEND
        return backend
    if name in _outsiders():
        outsider: Backend = _outsiders()[name].load()
        return outsider
    raise _unknown(name)


@cache
def _outsiders() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=GROUP)}


def _unknown(name: str) -> UsageError:
    near = get_close_matches(name, names(), n=3) or names()
    return UsageError(
        f"unknown backend {name!r}",
        fix=f"did you mean {', '.join(near)}? Your own function: FILE.py:FUNC",
    )
