"""`torch.compile(..., dynamic=False)` around attention whose length differs from call to call."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from attnprobe.device.habits._graphs import counted
from attnprobe.device.inputs import Inputs

LENGTHS = 12


def written_shows(inputs: Inputs) -> dict[str, float]:
    """Graphs over twelve lengths, static shapes."""
    return counted(_attend, _calls(inputs), dynamic=False)


def mended_shows(inputs: Inputs) -> dict[str, float]:
    """The same by default: the second length makes the graph dynamic."""
    return counted(_attend, _calls(inputs))


def _attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return scaled_dot_product_attention(query, key, value, is_causal=True)


def _calls(inputs: Inputs) -> list[tuple[Tensor, ...]]:
    """Ever longer queries, the case's first one repeated, which are keys and values too."""
    return [(inputs.q[:, :, :1].repeat(1, 1, 16 + n, 1),) * 3 for n in range(LENGTHS)]
