"""A negative scale is a scale like any other, for the reference's bounds too."""

from __future__ import annotations

import pytest

from attnprobe.core.case import Case
from attnprobe.core.score import Score
from attnprobe.device import reference
from attnprobe.device.inputs import make
from attnprobe.device.numerics.judge import judge
from tests.laboratory.conftest import subject
from tests.mutation.right import Plain


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_right_kernel_with_a_negative_scale_is_right(dtype: str) -> None:
    """Magnitudes carry no sign."""
    case = Case(2, 4, 2, 67, 33, 32, 32, dtype=dtype, score=Score(scale=-0.1))
    inputs = make(case)
    found = judge(subject(Plain(), case).run(), inputs, reference.compute(inputs), "fused_tc")
    assert found.verdict == "pass"
