"""Queries, keys and values of B * Mq tokens: one matmul with a (3D, D) weight, or three with (D, D).

- `packed`: one matmul, then split;
- `separate`: three matmuls, outputs apart.
"""

_EAGER = ("packed", "separate")
VARIANTS = (*_EAGER, *(f"{name}-compiled" for name in _EAGER))
