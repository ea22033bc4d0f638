"""A claim is asked for without raising: what cannot be asked is itself an answer."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version

from attnprobe.core.backend_fact import Claim
from attnprobe.device.backends.base import Backend

Answer = tuple[bool | None, str]
"""(available, in the library's own words)."""


def asked(backend: Backend, source: str, ask: Callable[[], Answer]) -> Claim:
    """What the library answers, or why it could not be asked.

    Args:
        backend: Whose package is imported first.
        source: The call that `ask` makes, for the reader.
        ask: Called once the package is imported.
    """
    try:
        backend.available()
        available, says = ask()
    except Exception as error:  # noqa: BLE001 - a probe's boundary: a broken import may raise anything
        return failed(backend, error, source)
    return Claim(available, says, source, installed(backend.package), package=backend.package)


def failed(backend: Backend, error: BaseException, source: str = "") -> Claim:
    """The claim of a backend whose package could not be imported or asked."""
    return Claim(
        available=None,
        source=source,
        version=installed(backend.package),
        error=why(error),
        absent=_is_absent(error, backend.package),
        package=backend.package,
    )


def installed(package: str) -> str:
    """Version of a distribution in this interpreter; empty when it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def why(error: BaseException) -> str:
    """The exception and what caused it, innermost last, with the module that raised it."""
    links: list[str] = []
    cause: BaseException | None = error
    while cause is not None and len(links) < 5:
        frame = cause.__traceback__
        while frame is not None and frame.tb_next is not None:
            frame = frame.tb_next
        where = f" ({frame.tb_frame.f_globals.get('__name__', '?')})" if frame else ""
        links.append(f"{type(cause).__name__}: {cause}{where}")
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return " <- ".join(links)


def _is_absent(error: BaseException, package: str) -> bool:
    """True when a module is nowhere on the path, and that is not an installed package's own defect.

    `flash_attn.flash_attn_interface` is missing although `flash_attn` is there, because flash-attn 4
    installs that package without it: flash-attn 2 is absent. xFormers is installed and cannot find
    numpy: broken. torch looks for FA3's module in vain: FA3 is absent.
    """
    if not isinstance(error, ModuleNotFoundError):
        return False
    if package != "torch":
        return not installed(package)
    if not error.name:
        return False
    try:
        return importlib.util.find_spec(error.name.partition(".")[0]) is None
    except ValueError:  # a module without __spec__ is in sys.modules: there, in some form
        return False
