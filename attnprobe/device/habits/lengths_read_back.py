"""Every layer asks the device for the longest sequence: `int(cu_seqlens.diff().max())`.

What is shown is how often one call waits for the device.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch
from torch import Tensor

from attnprobe.device.inputs import Inputs
from attnprobe.device.lowering import varlen
from attnprobe.device.lowering.packed import Packed

SEEN = "waits per call"
WAITED = "called a synchronizing"
"""Of the warning for each wait; that the mode is a prototype is a warning too."""


def written_shows(inputs: Inputs) -> dict[str, float]:
    """The lengths are on the device, the longest is read back."""
    starts = Packed.of(inputs.case, inputs.device).cu_q
    return {SEEN: _waits(inputs, lambda: int(starts.diff().max()))}


def mended_shows(inputs: Inputs) -> dict[str, float]:
    """It was computed where the batch was put together."""
    longest = Packed.of(inputs.case, inputs.device).max_q
    return {SEEN: _waits(inputs, lambda: longest)}


def _waits(inputs: Inputs, longest: Callable[[], int]) -> float:
    """Torch warns of every operation that waits when it is asked to.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.cuda.set_sync_debug_mode.html
    """
    run = _call(inputs, longest)
    run()
    torch.cuda.synchronize(inputs.device)
    before = torch.cuda.get_sync_debug_mode()
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            run()
        finally:
            torch.cuda.set_sync_debug_mode(before)
    return float(sum(WAITED in str(warning.message) for warning in heard))


def _call(inputs: Inputs, longest: Callable[[], int]) -> Callable[[], Tensor]:
    """One call of varlen_attn.

    Raises:
        NotImplementedError: This torch has none.
    """
    function = varlen.installed()
    if function is None:
        raise NotImplementedError("torch has no varlen_attn before 2.10")
    packed = Packed.of(inputs.case, inputs.device)
    q, k, v = (x[0].transpose(0, 1) for x in (inputs.q, inputs.k, inputs.v))

    def run() -> Tensor:
        n = longest()
        out: Tensor = function(q, k, v, packed.cu_q, packed.cu_kv, n, n)
        return out

    return run
