"""When the block lists of a BlockMask, made for other lengths, spoil a result."""

from __future__ import annotations

BLOCK = 128
"""Rows and columns of a block: `_DEFAULT_SPARSE_BLOCK_SIZE`,
torch@2.13.0:torch/nn/attention/flex_attention.py."""


def spoilt(made_for: int, length: int) -> bool:
    """Whether a sequence is served wrongly by the blocks of a sequence of another length.

    Keys in blocks that were empty are never visited, and keys that are gone from blocks that were full
    are attended; in blocks that were partly filled `mask_mod` is asked, and says what is right.

    >>> spoilt(512, 384), spoilt(500, 400), spoilt(100, 200)
    (True, False, True)
    """
    full, visited = made_for // BLOCK * BLOCK, -(-made_for // BLOCK) * BLOCK
    return length < full or length > visited
