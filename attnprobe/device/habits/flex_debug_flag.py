"""`_FLEX_ATTENTION_DISABLE_COMPILE_DEBUG` was left on after a debugging session.

Source: torch@2.13.0:torch/nn/attention/flex_attention.py (the comment at the flag, and the warning).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from torch.nn.attention import flex_attention as module

from attnprobe.device.inputs import Inputs

FLAG, SHOWN = "_FLEX_ATTENTION_DISABLE_COMPILE_DEBUG", "_WARNINGS_SHOWN"


def written_shows(inputs: Inputs) -> dict[str, float]:
    """Warnings of one uncompiled call with the flag."""
    return _warnings(inputs, debugging=True)


def mended_shows(inputs: Inputs) -> dict[str, float]:
    """Warnings of the same call without it."""
    return _warnings(inputs, debugging=False)


def _warnings(inputs: Inputs, debugging: bool) -> dict[str, float]:
    q, k, v = inputs.q, inputs.k, inputs.v
    with _set(FLAG, debugging), _set(SHOWN, set()), warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        module.flex_attention(q, k, v, enable_gqa=inputs.case.groups > 1)
    return {"warnings": sum("without torch.compile" in str(w.message) for w in heard)}


@contextmanager
def _set(name: str, value: object) -> Iterator[None]:
    """A variable of the module, for a while.

    Raises:
        AttributeError: This torch has no such variable.
    """
    before = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, before)
