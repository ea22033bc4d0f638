"""No query looks ahead of its diagonal."""

from attnprobe.core.mask import Align, Mask


def causal(align: Align) -> Mask:
    """Causal mask with the diagonal at the given corner.

    >>> print(causal("top-left").picture(2, 5))
    1 . . . .
    1 1 . . .
    >>> print(causal("bottom-right").picture(2, 5))
    1 1 1 1 .
    1 1 1 1 1
    >>> print(causal("bottom-right").picture(5, 2))
    . .
    . .
    . .
    1 .
    1 1
    """
    return Mask(None, 0, align)
