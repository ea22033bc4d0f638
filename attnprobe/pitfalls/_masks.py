"""What rules about masks ask of a case, by arithmetic on its band of diagonals alone."""

from __future__ import annotations

from attnprobe.core.case import Case


def is_tensor(case: Case) -> bool:
    """True when SDPA is handed `attn_mask`: no flag says this mask, or the caller wants it dense.

    What is only added, a bias or ALiBi, is no mask.
    """
    if case.mask.is_none and case.lengths is None:
        return False
    flagged = case.mask.is_causal and (case.mask.align == "top-left" or case.Mq == case.Mkv)
    if case.lengths is not None or case.mask_form != "best" or not case.score.is_plain:
        return True
    return not flagged and not case.mask.is_idle(case.Mq, case.Mkv)


def empty_rows(case: Case) -> int:
    """Queries, all sequences together, that a band or a length of 0 leaves without a key.

    Predicates are not looked at: they may leave more of them.
    """
    return sum(
        s.Mq - len(range(*_rows_with_keys(case, s.Mq, s.Mkv))) for s in case.sequences if s.Mq
    )


def _rows_with_keys(case: Case, Mq: int, Mkv: int) -> tuple[int, int]:
    """First row whose band reaches key 0, and one behind the last whose band begins before Mkv."""
    if Mkv == 0:
        return 0, 0
    mask, shift = case.mask, case.mask.shift(Mq, Mkv)
    first = 0 if mask.right is None else max(0, -shift - mask.right)
    behind = Mq if mask.left is None else min(Mq, Mkv - shift + mask.left)
    return first, behind
