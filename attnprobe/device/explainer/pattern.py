"""Where an error sits: batch elements, heads, rows, columns, tile boundaries. Short, with numbers."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from attnprobe.core.parity import Failure
from attnprobe.device.explainer.seen import Seen
from attnprobe.device.numerics import judge

TILES = (256, 128, 64, 32, 16)

AXES = {
    "out": ("batch element", "head", "query row", "column"),
    "lse": ("batch element", "head", "query row", "column"),
    "dq": ("batch element", "head", "query row", "column"),
    "dk": ("batch element", "key head", "key", "column"),
    "dv": ("batch element", "key head", "key", "column"),
    "dbias": ("batch element", "head", "query row", "key"),
}

LISTED = 4
"""Runs of neighbours that are written out; more are counted."""

NEARLY_ALL = 0.8
"""Share of the slices along an axis from which on the axis says nothing."""


def where(failure: Failure, seen: Seen) -> str:
    """Where the quantity of a failure is wrong; empty when there is nothing to compare.

    An element is wrong when its error exceeds its bound. Where none does alone (a common gain, the
    mean of a group), elements above half of the largest ratio stand for the error.
    """
    ratios = judge.ratios(
        failure.of, seen.outputs, seen.inputs, seen.reference, seen.parity.contract
    )
    if ratios is None or not ratios.numel():
        return ""
    special = _special(ratios, failure, seen)
    if special is not None:
        return located(special, AXES[failure.of]) if bool(special.any()) else ""
    wrong, largest = ratios > 1.0, float(ratios.max())
    if bool(wrong.any()):
        return located(wrong, AXES[failure.of])
    if not largest:
        return ""
    found = located(ratios > largest / 2, AXES[failure.of])
    return f"no single element exceeds its bound; the largest errors: {found}"


def _special(ratios: Tensor, failure: Failure, seen: Seen) -> Tensor | None:
    """Elements that must be exactly zero and are not; None for failures of another kind."""
    got = getattr(seen.outputs, failure.of)
    got = got[..., None] if failure.of == "lse" else got
    if failure.kind == "leak" and failure.of in ("dk", "dv"):
        forbidden = ~seen.reference.attended
    elif failure.kind == "empty_rows":
        forbidden = seen.reference.compared & ~seen.reference.has_keys
    else:
        return None
    written: Tensor = got != (-torch.inf if failure.of == "lse" else 0.0)
    return written & forbidden[..., None].expand_as(ratios)


def located(wrong: Tensor, axes: tuple[str, ...]) -> str:
    """A sentence about a (B, H, rows, columns) table that has at least one True.

    Args:
        wrong: Which elements are wrong.
        axes: What the dimensions are called.
    """
    count, total = int(wrong.sum()), wrong.numel()
    parts = [part for d, axis in enumerate(axes) if (part := _along(wrong, d, axis))]
    share = count / total
    said = f"{count:,} of {total:,} elements" if count < total else f"all {total:,} elements"
    if not parts:
        even = "" if share > NEARLY_ALL else f" ({100 * share:.2g} %)"
        return f"everywhere: {said}{even}"
    return f"{'; '.join(parts)} ({said})"


def _along(wrong: Tensor, d: int, axis: str) -> str:
    """What an axis says, empty when (nearly) every slice is affected or there is only one."""
    length = wrong.shape[d]
    hit = wrong.transpose(0, d).flatten(1).any(1) if wrong.numel() else wrong.new_zeros(0)
    indices = hit.nonzero().flatten().tolist()
    if length == 1 or not indices:
        return ""
    runs = list(_runs(indices))
    gap = len(indices) < length and len(runs) == 1  # one stretch is worth saying, however long
    if len(indices) >= NEARLY_ALL * length and not (gap and length - len(indices) > 1):
        return ""
    names = axis if len(indices) == 1 else f"{axis}s" if not axis.endswith("s") else axis
    tile = _tile(indices, length) if axis in ("query row", "key") else ""
    if len(runs) > LISTED:
        listed = f"{len(indices)} of {length} {names}, {indices[0]} to {indices[-1]}"
        return f"{listed}{tile}"
    listed = ", ".join(str(a) if a == b else f"{a} to {b}" for a, b in runs)
    return f"{names} {listed} of {length}{tile}"


def _runs(indices: list[int]) -> Iterator[tuple[int, int]]:
    """Neighbours joined: 1, 2, 3, 7 are (1, 3) and (7, 7)."""
    start = last = indices[0]
    for n in indices[1:]:
        if n != last + 1:
            yield start, last
            start = n
        last = n
    yield start, last


def _tile(indices: list[int], length: int) -> str:
    """How the affected rows or keys lie in tiles of a power of two; empty for not at all."""
    first, last = indices[0], indices[-1]
    whole = {T: length // T * T for T in TILES}
    tails = [T for T in TILES if 0 < whole[T] < length and whole[T] <= first]
    if tails and last == length - 1 and len(indices) > (length - first) // 2:
        exact = [T for T in tails if whole[T] == first]
        return f" (the last partial tile of {min(exact or tails)})"
    for T in TILES:
        if length <= T:
            continue
        inside = {n % T for n in indices}
        if inside == {T - 1} and len(indices) > 1:
            return f" (each the last of a tile of {T})"
        if inside == {0} and len(indices) > 1:
            return f" (each the first of a tile of {T})"
        run = len(indices) == last - first + 1
        if run and first and first % T == 0 and last == length - 1:
            return f" (from a boundary of tiles of {T} to the end)"
        if run and first % T == 0 and (last + 1) % T == 0 and last - first + 1 < length:
            return f" (whole tiles of {T})"
    return ""
