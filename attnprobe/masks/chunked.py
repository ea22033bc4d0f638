"""Causal within chunks of a fixed size."""

from attnprobe.core.mask import Align, Mask
from attnprobe.masks.block_diagonal import block_diagonal
from attnprobe.masks.causal import causal


def chunked(size: int, align: Align) -> Mask:
    """Each token sees itself and what precedes it in its own chunk; `causal & block-diagonal`.

    Source: the local layers of Llama 4 (`attention_chunk_size`,
    https://huggingface.co/docs/transformers/model_doc/llama4).

    Args:
        size: Tokens per chunk.
        align: Where the diagonal starts.

    >>> print(chunked(2, "bottom-right").picture(2, 5))
    . . 1 1 .
    . . . . 1
    >>> print(chunked(2, "top-left").picture(5, 2))
    1 .
    1 1
    . .
    . .
    . .
    """
    return causal(align) & block_diagonal(size, align)
