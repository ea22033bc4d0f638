"""Inputs and references of the cases in hand: made once for all backends and questions."""

from __future__ import annotations

from functools import lru_cache

from attnprobe.core.case import Case
from attnprobe.device import reference
from attnprobe.device.inputs import Inputs, make
from attnprobe.device.modules import truth as layers

REMEMBERED = 2
"""Cases whose inputs and reference are kept: the one in hand, and the one before it, which shares a
session's order with it (forward, then forward and backward of the same shape)."""


@lru_cache(maxsize=REMEMBERED)
def inputs(case: Case) -> Inputs:
    """The tensors of a case; not to be written to."""
    return make(case)


@lru_cache(maxsize=REMEMBERED)
def truth(case: Case) -> reference.Reference:
    """The reference of a case."""
    return reference.compute(inputs(case))


def forget() -> None:
    """Drops all of it, and the memory it holds; layers' too."""
    inputs.cache_clear()
    truth.cache_clear()
    layers.forget()
