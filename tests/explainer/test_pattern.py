"""Planted places of an error are told back."""

from __future__ import annotations

import pytest
import torch

from attnprobe.device.explainer.pattern import AXES, located

OUT, KEYS = AXES["out"], AXES["dk"]


def wrong(*index: slice | int | list[int]) -> torch.Tensor:
    """A (2, 4, 130, 64) table that is True at an index."""
    table = torch.zeros(2, 4, 130, 64, dtype=torch.bool)
    table[index] = True
    return table


ALL = slice(None)

PLACES: list[tuple[torch.Tensor, str]] = [
    (wrong(ALL), "everywhere: all 66,560 elements"),
    (wrong(1), "batch element 1 of 2 (33,280 of 66,560 elements)"),
    (wrong(ALL, 3), "head 3 of 4 (16,640 of 66,560 elements)"),
    (wrong(ALL, [0, 2]), "heads 0, 2 of 4 (33,280 of 66,560 elements)"),
    (wrong(0, 2, 5, 7), "batch element 0 of 2; head 2 of 4; query row 5 of 130; column 7 of 64"),
    (
        wrong(ALL, ALL, slice(128, 130)),
        "query rows 128 to 129 of 130 (the last partial tile of 16)",
    ),
    (wrong(ALL, ALL, slice(64, 128)), "query rows 64 to 127 of 130 (whole tiles of 64)"),
    (wrong(ALL, ALL, slice(64, 130)), "(from a boundary of tiles of 64 to the end)"),
    (wrong(ALL, ALL, [15, 63]), "query rows 15, 63 of 130 (each the last of a tile of 16)"),
    (wrong(ALL, ALL, [32, 96]), "query rows 32, 96 of 130 (each the first of a tile of 32)"),
    (wrong(ALL, ALL, list(range(0, 130, 3))), "44 of 130 query rows, 0 to 129"),
    (wrong(ALL, ALL, ALL, slice(32, 64)), "columns 32 to 63 of 64"),
    (wrong(ALL, ALL, slice(2, 130)), "query rows 2 to 129 of 130"),
]


@pytest.mark.parametrize(("table", "says"), PLACES, ids=[says[:40] for _, says in PLACES])
def test_a_planted_place_is_told(table: torch.Tensor, says: str) -> None:
    """Every axis on which only some slices are affected, and no other."""
    told = located(table, OUT)
    assert says in told
    named = [axis for axis in OUT if axis in told]
    assert len(named) == sum(
        axis in says or (axis == "query row" and "tile" in says) for axis in OUT
    )


def test_keys_are_called_keys() -> None:
    """Gradients of k and v have keys where the output has queries."""
    assert "keys 0 to 63 of 130 (whole tiles of 64)" in located(wrong(ALL, ALL, slice(64)), KEYS)


@pytest.mark.parametrize("share", [0.01, 0.3, 0.7])
def test_scattered_errors_are_everywhere(share: float) -> None:
    """Noise names no head and no row, only how much of it there is."""
    generator = torch.Generator().manual_seed(0)
    table = torch.rand(2, 4, 130, 64, generator=generator) < share
    assert located(table, OUT).startswith("everywhere: ")


def test_one_row_that_is_right_by_chance_is_not_worth_a_word() -> None:
    """Row 0 of a causal mask attends one key: no mask error shows there in dq."""
    assert located(wrong(ALL, ALL, slice(1, 130)), OUT).startswith("everywhere: 66,048 of")
