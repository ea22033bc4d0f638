"""Attention with dropout is checkpointed with preserve_rng_state=False.

The recomputation in the backward then draws another dropout mask than the forward did.
Source: https://docs.pytorch.org/docs/stable/checkpoint.html
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from attnprobe.device.habits import _call
from attnprobe.device.inputs import Inputs

ERROR = "relative error of dv"
_SEED = 20


def written_shows(inputs: Inputs) -> dict[str, float]:
    """The random state goes on between the forward and its recomputation."""
    return {ERROR: _error(inputs, preserve_rng_state=False)}


def mended_shows(inputs: Inputs) -> dict[str, float]:
    """The default: the state is kept for the recomputation."""
    return {ERROR: _error(inputs, preserve_rng_state=True)}


def _error(inputs: Inputs, preserve_rng_state: bool) -> float:
    """|dv - dv'| / |dv'| with dv' from the same call without a checkpoint, under the same seed."""
    call = _call.prepared(inputs)
    checkpointed = partial(
        checkpoint,
        lambda *leaves: call.launch(),
        *call.leaves.values(),
        use_reentrant=False,
        preserve_rng_state=preserve_rng_state,
    )

    def gradient(out: Tensor) -> Tensor:
        (dv,) = torch.autograd.grad(out, call.leaves["v"], inputs.dout)
        return dv.double()

    torch.manual_seed(_SEED)
    true = gradient(call.launch())
    torch.manual_seed(_SEED)
    given = gradient(checkpointed())
    return float((given - true).norm() / true.norm())
