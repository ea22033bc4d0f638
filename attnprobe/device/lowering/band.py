"""A band of diagonals in the coordinates of kernels that count from the bottom-right corner."""

from __future__ import annotations

from dataclasses import dataclass

from attnprobe.core.case import Case


@dataclass(frozen=True)
class Band:
    """`-left <= j - (i + Mkv - Mq) <= right` in every sequence of a case; None is unbounded."""

    left: int | None
    right: int | None

    @property
    def is_full(self) -> bool:
        """True when nothing is masked."""
        return self.left is None and self.right is None


def bottom_right(case: Case) -> Band | str:
    """The case's band, counted from the bottom-right corner, or why it has none.

    A top-left band moves by Mkv - Mq. Where a side then lies behind all keys it is unbounded; where it
    becomes negative the band cannot be told to flash-attn, torch's varlen_attn or xFormers, for which
    -1 means unbounded or is an error. Nor can a right side of max_seqlen_k or more, which flash-attn's
    host code replaces by -1 although it still masks keys where Mq > Mkv (seen on an H200, torch 2.11,
    varlen_attn; Source: flash-attention@0251105:csrc/flash_attn/flash_api.cpp, mha_varlen_fwd).
    """
    mask = case.mask
    if not mask.is_band:
        predicates = ", ".join(sorted({p.name for p in mask.predicates}))
        return f"{predicates} is no band of diagonals"
    shifts = {mask.shift(s.Mq, s.Mkv) - (s.Mkv - s.Mq) for s in case.sequences}
    if shifts == {0} or not mask.is_aligned:
        band = Band(mask.left, mask.right)
    elif len(shifts) > 1:
        return (
            f"{mask.text}: sequences differ in Mkv - Mq, so one window counted from the "
            "bottom-right corner cannot describe a top-left mask"
        )
    else:
        moved = shifts.pop()
        band = Band(
            _reached(mask.left, -moved, max(s.Mkv for s in case.sequences) - 1),
            _reached(mask.right, moved, max(s.Mq for s in case.sequences) - 1),
        )
    if (band.left is not None and band.left < 0) or (band.right is not None and band.right < 0):
        return (
            f"{mask.text} is window ({band.left}, {band.right}) counted from the bottom-right "
            "corner, and a negative side cannot be expressed"
        )
    longest = max((s.Mkv for s in case.sequences), default=0)
    taller = any(s.Mq > s.Mkv for s in case.sequences)  # only then does such a side mask anything
    if taller and band.right is not None and band.right >= longest:
        return (
            f"{mask.text} is window ({band.left}, {band.right}) counted from the bottom-right "
            f"corner, and flash kernels read a right side of {longest} keys or more as unbounded"
        )
    return band


def _reached(side: int | None, moved: int, farthest: int) -> int | None:
    """A side after the move; None where it reaches every key or query there is."""
    return None if side is None or side + moved >= farthest else side + moved
