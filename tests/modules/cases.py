"""A small case of every layer."""

from __future__ import annotations

from attnprobe import masks
from attnprobe.core.case import Case, Lengths

LENGTHS = (5, 17, 9, 1, 17, 3)
KEYS = (16, 2, 9, 1, 12, 6)
CAUSAL = masks.parse("causal(align=top-left)")

CASES = {
    "mha-layer": Case(6, 4, 4, 17, 17, 16, 16, lengths=Lengths(LENGTHS, LENGTHS)),
    "mha-cross": Case(6, 4, 4, 17, 16, 16, 16, lengths=Lengths(LENGTHS, KEYS)),
    "input-projection": Case(8, 4, 4, 4, 4, 16, 16),
    "swiglu": Case(4, 4, 4, 8, 8, 16, 16),
    "gpt-block": Case(2, 4, 4, 16, 16, 8, 8, mask=CAUSAL),
    "varlen-documents": Case(3, 4, 4, 64, 64, 16, 16, mask=CAUSAL),
}


def case(name: str, dtype: str = "float32", **changes: object) -> Case:
    """The small case of a layer."""
    return CASES[name].edit(module=name, dtype=dtype, **changes)
