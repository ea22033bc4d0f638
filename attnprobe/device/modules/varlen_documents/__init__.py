"""Causal attention within documents that an end-of-sequence token cuts out of B rows of Mq tokens.

Packed input projection, attention, output projection, as in
https://docs.pytorch.org/tutorials/intermediate/variable_length_attention_tutorial.html. Every document
is attended from within only; where documents end follows from the case's seed.

- `padded-sdpa`: the rows as they are, and a boolean mask (B, 1, Mq, Mq);
- `varlen`: `torch.nn.attention.varlen` with window (-1, 0) and cu_seqlens;
- `jagged`: a jagged nested tensor with a document a row, and causal SDPA.

Each with `-compiled` too: the same through `torch.compile`.
"""

_EAGER = ("padded-sdpa", "varlen", "jagged")
VARIANTS = (*_EAGER, *(f"{name}-compiled" for name in _EAGER))
