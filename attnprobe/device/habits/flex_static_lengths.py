"""flex_attention is compiled with `dynamic=False`, and every batch has another length.

What is shown is how many of ten batches, each of a length of its own, run uncompiled.
"""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor
from torch.nn.attention.flex_attention import flex_attention

from attnprobe.device.habits import _graphs
from attnprobe.device.inputs import Inputs

BATCHES = 10
STEP = 16


def written_shows(inputs: Inputs) -> dict[str, float]:
    """A version of the code for every length, as long as dynamo makes new ones."""
    return _graphs.counted(flex_attention, _batches(inputs), dynamic=False)


def mended_shows(inputs: Inputs) -> dict[str, float]:
    """Lengths are symbols from the second one on, dynamo's default."""
    return _graphs.counted(flex_attention, _batches(inputs))


def _batches(inputs: Inputs) -> Iterator[tuple[Tensor, ...]]:
    """q, k and v of one sequence and one token, repeated to lengths that grow."""
    heads = inputs.case.Hkv
    tokens = [x.detach()[:1, :heads, :1] for x in (inputs.q, inputs.k, inputs.v)]
    for n in range(1, BATCHES + 1):
        yield tuple(token.repeat(1, 1, STEP * n, 1) for token in tokens)
