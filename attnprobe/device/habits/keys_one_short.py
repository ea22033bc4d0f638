"""K holds one token fewer than V, as after a cache was updated on one side alone.

Source: https://github.com/pytorch/pytorch/pull/193728 (torch's CPU flash kernel counts keys by V).
"""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from attnprobe.device.inputs import Inputs


def written_shows(inputs: Inputs) -> dict[str, float]:
    """The call with all values."""
    return _behind(inputs, inputs.v.detach())


def mended_shows(inputs: Inputs) -> dict[str, float]:
    """The call with as many values as keys."""
    return _behind(inputs, inputs.v.detach()[:, :, :-1])


def _behind(inputs: Inputs, v: Tensor) -> dict[str, float]:
    """`behind`: share of rows that change with what lies behind K; 0 where torch rejects the call.

    That memory is the last token of a longer K, so that nothing foreign is read.
    """
    longer = inputs.k.detach().contiguous()
    changed = longer.clone()
    changed[:, :, -1] += 1.0
    q, gqa = inputs.q.detach(), inputs.case.groups > 1
    try:
        one, other = (
            scaled_dot_product_attention(q, k[:, :, :-1], v, enable_gqa=gqa)
            for k in (longer, changed)
        )
    except (RuntimeError, ValueError):
        return {"behind": 0.0}
    return {"behind": float((one != other).any(-1).double().mean())}
