"""Masked keys and values have no influence."""

from __future__ import annotations

import pytest

from attnprobe import masks
from attnprobe.core.case import Case
from tests.mutation import masks as bugs
from tests.mutation.right import Plain, SplitK, torch_default

CASE = Case(
    B=2, Hq=2, Hkv=1, Mq=20, Mkv=20, K=16, Kv=16, mask=masks.parse("causal", square=True)
)  # fmt: skip


@pytest.mark.parametrize("bug", [bugs.SmallFiniteMask, bugs.CausalOneAhead, bugs.CausalByTile])
def test_a_masked_key_with_influence_is_a_leak(kinds, bug) -> None:
    """Whether it weighs e^-20 or as much as any other."""
    assert kinds("leak", bug(), CASE.edit(family="very-negative-lse")) >= {"leak"}


@pytest.mark.parametrize("right", [Plain(), SplitK(), torch_default])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_right_attention_does_not_leak(kinds, right, dtype: str) -> None:
    """A masked key weighs zero, whatever it holds."""
    assert kinds("leak", right, CASE.edit(dtype=dtype)) == set()
