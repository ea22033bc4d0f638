"""What `FILE.py:NAME` and `package.module:NAME` mean: a callable of the user's own, made once.

A file is imported as `python FILE.py` would: its folder comes first on `sys.path`, so that it can
import its neighbours, and then the current directory, so that a file inside a package can import that
package. Afterwards both are at the end, where they shadow nothing that anybody else imports. What the
import sets in torch for the whole process (a default dtype, a seed) is set back.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from attnprobe.device import settings
from attnprobe.errors import UsageError


@cache
def named(name: str) -> Callable[..., Any]:
    """The function, or one instance of the class, made without arguments and kept: modules have state.

    Args:
        name: `FILE.py:NAME` or `package.module:NAME`.

    Raises:
        UsageError: No such file, module or name, or it cannot be called.
        Exception: Whatever the user's code raises on import.
    """
    place, _, attribute = name.rpartition(":")
    found = getattr(_module(place), attribute, None)
    if isinstance(found, type):
        try:
            found = found()
        except TypeError as error:
            raise UsageError(
                f"{name} is a class that cannot be made without arguments: {error}",
                fix="name a function, or an instance that the file makes",
            ) from None
    if not callable(found):
        raise UsageError(f"{place} has no function {attribute!r}", fix="name one as FILE.py:FUNC")
    function: Callable[..., Any] = found
    return function


@cache
def _module(place: str) -> ModuleType:
    if place.endswith(".py"):
        return _file(Path(place).expanduser().resolve(), place)
    try:
        with _importing(os.getcwd()):
            return importlib.import_module(place)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{place}.".startswith(f"{error.name}."):
            raise
        raise UsageError(f"no module {error.name!r}", fix="is it on PYTHONPATH?") from None


def _file(path: Path, place: str) -> ModuleType:
    if not path.is_file():
        raise UsageError(f"no such file: {place}")
    # a name of its own: `queue.py` must not become what everybody else imports as queue
    spec = importlib.util.spec_from_file_location(f"user_file_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses and triton look their module up
    with _importing(str(path.parent), os.getcwd()):
        spec.loader.exec_module(module)
    return module


@contextmanager
def _importing(*folders: str) -> Iterator[None]:
    """Folders first on the path, and last afterwards: functions may import when they are called."""
    new = [folder for folder in dict.fromkeys(folders) if folder not in sys.path]
    sys.path[:0] = new
    try:
        with settings.kept():
            yield
    finally:
        for folder in new:
            sys.path.remove(folder)
        sys.path += new
