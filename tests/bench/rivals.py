"""What is usually done instead of a check: the result beside torch's own, and a rule of thumb.

`assert_close` takes torch's default tolerances of the dtype, `allclose` an absolute 1e-2. The 2x rule is
that of https://github.com/Dao-AILab/flash-attention/blob/main/tests/test_flash_attn.py: the largest
error against float32 may be twice, for gradients three times, that of torch in the same dtype.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property

import torch
from torch import Tensor

from attnprobe.device.backends._user import UserCallable
from attnprobe.device.inputs import Inputs, Outputs
from attnprobe.device.subject import Subject
from tests.mutation.right import torch_math

NAMES = ("out", "dq", "dk", "dv", "dbias")


class Rivals:
    """The rules, for one case.

    Args:
        inputs: The case and its tensors.
    """

    def __init__(self, inputs: Inputs) -> None:
        self.inputs = inputs

    def blame(self, outputs: Outputs | None) -> set[str]:
        """The rules that call these outputs wrong; None is no output at all, which all of them see."""
        rules: dict[str, Callable[[str, Tensor, Tensor], bool]] = {
            "assert_close": self._assert_close,
            "allclose": self._allclose,
        }
        if self.inputs.case.dtype != "float32":  # there torch's own error would be the reference's
            rules["2x"] = self._twice
        blamed = set()
        for rule, accepts in rules.items():
            for name in NAMES:
                x, expected = (getattr(o, name, None) for o in (outputs, self.expected))
                if expected is not None and (x is None or not accepts(name, x, expected)):
                    blamed.add(rule)
                    break
        return blamed

    @cached_property
    def expected(self) -> Outputs:
        """Torch's math in the dtype of the case."""
        return Subject(UserCallable("math", torch_math), self.inputs).run()

    @cached_property
    def precise(self) -> Outputs:
        """Torch's math in float32 on the same numbers."""
        bias = self.inputs.bias
        inputs = replace(
            self.inputs,
            case=self.inputs.case.edit(dtype="float32"),
            bias=None if bias is None else bias.float(),
            **{name: getattr(self.inputs, name).float() for name in ("q", "k", "v", "dout")},
        )
        return Subject(UserCallable("math", torch_math), inputs).run()

    def _assert_close(self, name: str, x: Tensor, expected: Tensor) -> bool:
        try:
            torch.testing.assert_close(x, expected)
        except AssertionError:
            return False
        return True

    def _allclose(self, name: str, x: Tensor, expected: Tensor) -> bool:
        alike = (x.shape, x.dtype) == (expected.shape, expected.dtype)
        return alike and torch.allclose(x, expected, atol=1e-2)

    def _twice(self, name: str, x: Tensor, expected: Tensor) -> bool:
        precise = getattr(self.precise, name)
        if x.shape != precise.shape:
            return False
        own, torchs = (float((t.float() - precise).abs().max()) for t in (x, expected))
        return own <= (2 if name == "out" else 3) * torchs
