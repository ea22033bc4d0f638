"""Every query attends the keys near its diagonal."""

from attnprobe.core.mask import Align, Mask


def sliding_window(left: int | None, right: int | None, align: Align) -> Mask:
    """`left` keys before the aligned diagonal, the diagonal itself and `right` keys after it.

    `sliding-window(left=3, right=0)` holds 4 keys a row: flash-attn's `window_size=(3, 0)`, but
    window 4 in xFormers and in most model configurations, which count the diagonal.

    Args:
        left: Keys before the diagonal; None (spelled `none`) is unbounded.
        right: Keys after the diagonal; None (spelled `none`) is unbounded, 0 is causal.
        align: Where the diagonal starts.

    >>> print(sliding_window(1, 0, "top-left").picture(2, 5))
    1 . . . .
    1 1 . . .
    >>> print(sliding_window(1, 0, "bottom-right").picture(2, 5))
    . . 1 1 .
    . . . 1 1
    >>> print(sliding_window(1, 0, "bottom-right").picture(5, 2))
    . .
    . .
    . .
    1 .
    1 1
    """
    return Mask(left, right, align)
