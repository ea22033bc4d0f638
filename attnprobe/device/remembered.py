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
    """The reference of a case, at its home; of a long one for some queries, and what flows back."""
    return reference.at_home(judged(case), reference.queries(case))


def judged(case: Case) -> Inputs:
    """What a verdict is about: the tensors of a case.

    The cotangent of a long one is that of the queries which its reference holds, and 0 elsewhere.
    """
    rows = reference.queries(case)
    return inputs(case) if rows is None else _sparse(case)


@lru_cache(maxsize=1)
def _sparse(case: Case) -> Inputs:
    rows = reference.queries(case)
    assert rows is not None  # asked by `judged`
    return reference.sparse(inputs(case), rows)


def forget() -> None:
    """Drops all of it, and the memory it holds; layers' too."""
    inputs.cache_clear()
    truth.cache_clear()
    _sparse.cache_clear()
    layers.forget()
