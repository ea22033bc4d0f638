"""Named running sums."""

from __future__ import annotations

from torch import Tensor


class Sums(dict[str, Tensor]):
    """Tensors by name; adding to a new name starts it."""

    def add(self, name: str, term: Tensor) -> None:
        """Adds a term that the caller gives away."""
        if name in self:
            self[name] += term
        else:
            self[name] = term
