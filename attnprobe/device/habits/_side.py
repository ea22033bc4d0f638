"""One side of a habit as a backend: any function with the signature of scaled_dot_product_attention."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from attnprobe.core.backend_fact import Claim
from attnprobe.core.case import Case
from attnprobe.device.backends import sdpa_default
from attnprobe.device.backends._user import UserCallable


class Side(UserCallable):
    """Judged by the contract of what it calls, and otherwise as a user's own callable.

    Args:
        name: `written/NAME` or `mended/NAME`.
        function: The callable.
        contract: A numerics contract; that of `sdpa-default` where empty.
    """

    def __init__(self, name: str, function: Callable[..., Tensor], contract: str) -> None:
        super().__init__(name, function)
        self._contract = contract

    def claim(self) -> Claim:
        """It says nothing of itself."""
        return Claim(None, "code that people write", self.name)

    def contract(self, case: Case) -> str:
        """What the call inside may round."""
        return self._contract or sdpa_default.BACKEND.contract(case)
