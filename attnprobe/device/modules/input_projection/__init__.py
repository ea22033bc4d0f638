"""Queries, keys and values of B * Mq tokens: one matmul with a (3D, D) weight, or three with (D, D).

- `separate`: three matmuls, outputs apart;
- `packed`: one matmul, then split.

Each with `-compiled` too: the same through `torch.compile`.
"""

_EAGER = ("separate", "packed")
VARIANTS = (*_EAGER, *(f"{name}-compiled" for name in _EAGER))
