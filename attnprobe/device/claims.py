"""What each backend says of itself before anything is launched, or why it could not be asked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from attnprobe.core.backend_fact import Claim
from attnprobe.device import backends
from attnprobe.device.backends._claim import why


def claims(names: Iterable[str]) -> dict[str, Claim]:
    """Asks backends in turn; one that cannot even be loaded (an outsider's, a user's file) is an answer.

    Args:
        names: Backend names as on the command line.
    """
    return {name: _claim(name) for name in names}


def _claim(name: str) -> Claim:
    try:
        backend = backends.load(name)
        return replace(backend.claim(), compiles=backend.compiles)
    except Exception as error:  # noqa: BLE001 - a probe's boundary: a foreign import may raise anything
        return Claim(available=None, error=why(error))
