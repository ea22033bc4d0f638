"""Cross attention: as `mha-layer`, with keys and values from other sequences of other lengths.

Queries are projected from (Mq, D) tokens, keys and values from (Mkv, D) tokens of a second input;
`Case.lengths` gives both lengths of every pair of sequences.
"""

_EAGER = ("padded-mha", "padded-sdpa", "jagged", "packed-varlen")
VARIANTS = (*_EAGER, *(f"{name}-compiled" for name in _EAGER))
