"""Self-attention over sequences of unequal lengths: projections, attention, output projection.

The same weights (nn.MultiheadAttention's: one packed input projection, biases) and the same sequences
in every variant:

- `padded-mha`: nn.MultiheadAttention on (B, Mq, D) with `key_padding_mask`;
- `padded-sdpa`: the projections written out, and SDPA with a mask of what is real;
- `jagged`: a jagged nested tensor through the projections and SDPA
  (https://docs.pytorch.org/tutorials/intermediate/transformer_building_blocks.html);
- `packed-varlen`: one row of all tokens, and `torch.nn.attention.varlen`.

Each with `-compiled` too: the same through `torch.compile`.

`Case.lengths` says how long the sequences are; what the padded variants compute on padding is what
they are slower by, and never counts as work.
"""

_EAGER = ("padded-mha", "padded-sdpa", "jagged", "packed-varlen")
VARIANTS = (*_EAGER, *(f"{name}-compiled" for name in _EAGER))
