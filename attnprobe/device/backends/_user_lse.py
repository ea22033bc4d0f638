"""The log-sum-exp of a user's callable: whoever names `return_lse` in the signature is asked for it.

`return_lse=True` returns (output, log-sum-exp), as FlexAttention's does: the natural logarithm of the
row's summed exp, (B, H, M), float32, -inf for rows without keys. A call of its own asks for it, so that
the plain call is what is judged and timed. NotImplementedError says that this case has none.
Source: torch@2.13:torch/nn/attention/flex_attention.py, `return_lse`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from attnprobe.core.parity import Failure

NAME = "return_lse"


def gives(function: Callable[..., Any]) -> bool:
    """Whether the signature names it; of a module that is its `forward`'s."""
    called = function.forward if isinstance(function, torch.nn.Module) else function
    try:
        return NAME in inspect.signature(called).parameters
    except (TypeError, ValueError):  # a built-in without a signature
        return False


class Asking:
    """Asks for the log-sum-exp and remembers what came instead.

    Args:
        call: The callable on its arguments, with `return_lse=True`.
        device: Where the inputs are.
    """

    def __init__(self, call: Callable[[], object], device: torch.device) -> None:
        self._call, self._device, self._said = call, device, ""

    def __call__(self) -> Tensor | None:
        """The log-sum-exp as it is; None when there is none."""
        self._said = ""
        try:
            found = self._call()
        except NotImplementedError:
            return None
        self._said = self._wrong(found)
        if self._said or not isinstance(found, tuple | list):
            return None
        lse: Tensor = found[1]
        return lse.detach()

    def _wrong(self, found: object) -> str:
        if not isinstance(found, tuple | list) or len(found) < 2:
            return f"returned {type(found).__name__}, not (output, log-sum-exp)"
        if not isinstance(found[1], Tensor):
            return f"returned {type(found[1]).__name__} as the log-sum-exp, not a tensor"
        lse = found[1]
        if lse.device.type != self._device.type:
            return f"returned a log-sum-exp on {lse.device}; inputs are on {self._device}"
        if not lse.is_floating_point():
            return f"returned a log-sum-exp of {lse.dtype}"
        return ""

    def complaints(self) -> tuple[Failure, ...]:
        """What came instead of a log-sum-exp."""
        return (Failure("type", f"with {NAME}=True it {self._said}"),) if self._said else ()
