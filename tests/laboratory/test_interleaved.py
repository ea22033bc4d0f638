"""A call's backward is its own, though another call was made since."""

from __future__ import annotations

import pytest

from attnprobe.core.case import Case
from tests.mutation import habits
from tests.mutation.right import Plain, torch_default

CASE = Case(B=2, Hq=4, Hkv=2, Mq=20, Mkv=24, K=16, Kv=16, dtype="float32")


@pytest.mark.parametrize("bug", [habits.SavedOnTheModule, habits.OneWorkspace])
def test_what_is_kept_outside_the_graph_is_found(kinds, bug) -> None:
    """A call alone is right; two in flight are not."""
    assert kinds("interleaved", bug(), CASE) == {"interleaved"}


@pytest.mark.parametrize("right", [Plain(), torch_default])
def test_right_attention_may_be_called_again_before_its_backward(kinds, right) -> None:
    """As every model with two layers does."""
    assert kinds("interleaved", right, CASE) == set()
