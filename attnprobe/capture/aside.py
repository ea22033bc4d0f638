"""Computations of our own within the script's thread: hooks do not see them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class _Thread(threading.local):
    busy = False


_thread = _Thread()


def is_ours() -> bool:
    """Whether what runs in this thread is ours and not the script's."""
    return _thread.busy


@contextmanager
def aside() -> Iterator[None]:
    """What runs inside is ours."""
    before, _thread.busy = _thread.busy, True
    try:
        yield
    finally:
        _thread.busy = before
