"""How a library wants q, k, v and out stored, and the way back to the canonical (Bc, H, T, K)."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor


class Layout(Protocol):
    """A pair of view-only conversions. `name` is q, k, v or out (gradients use their tensor's name)."""

    def native(self, name: str, canonical: Tensor) -> Tensor:
        """Canonical (Bc, H, T, K) as the library wants it; a view where the memory allows."""
        ...

    def canonical(self, name: str, native: Tensor) -> Tensor:
        """The library's tensor as (Bc, H, T, K)."""
        ...


class BHMK:
    """(B, H, M, K): SDPA, flex."""

    def native(self, name: str, canonical: Tensor) -> Tensor:
        """Unchanged."""
        return canonical

    def canonical(self, name: str, native: Tensor) -> Tensor:
        """Unchanged."""
        return native


class BMHK:
    """(B, M, H, K): xFormers, flash-attn."""

    def native(self, name: str, canonical: Tensor) -> Tensor:
        """A transposed view."""
        return canonical.transpose(1, 2)

    def canonical(self, name: str, native: Tensor) -> Tensor:
        """A transposed view."""
        return native.transpose(1, 2)


class THK:
    """(T, H, K): packed rows with cu_seqlens; needs Bc = 1."""

    def native(self, name: str, canonical: Tensor) -> Tensor:
        """The only row, heads behind tokens."""
        return canonical[0].transpose(0, 1)

    def canonical(self, name: str, native: Tensor) -> Tensor:
        """Heads in front, a batch of one."""
        return native.transpose(0, 1).unsqueeze(0)
