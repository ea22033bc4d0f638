"""Every query attends every key."""

from attnprobe.core.mask import NONE, Mask


def none() -> Mask:
    """No mask.

    >>> print(none().picture(2, 3))
    1 1 1
    1 1 1
    """
    return NONE
