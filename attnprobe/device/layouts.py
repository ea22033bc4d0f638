"""How a library wants q, k, v and out stored, and the way back to the canonical (Bc, H, T, K)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


class Layout(Protocol):
    """A pair of conversions. `name` is q, k, v or out (gradients use their tensor's name)."""

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


@dataclass(frozen=True)
class BMGHK:
    """(B, M, G, H, K): xFormers' grouped heads; K and V are expanded views with stride 0.

    Args:
        groups: Query heads per key head.
    """

    groups: int

    def native(self, name: str, canonical: Tensor) -> Tensor:
        """Query heads split in two dimensions; every key head seen by all heads of its group."""
        rows = canonical.transpose(1, 2)
        if name in ("k", "v"):
            return rows.unsqueeze(3).expand(*rows.shape[:3], self.groups, rows.shape[3])
        return _split(rows, 2, self.groups)

    def canonical(self, name: str, native: Tensor) -> Tensor:
        """Heads merged; gradients of K and V summed over the group and rounded once."""
        if name in ("k", "v"):
            return _group_sum(native, 3).transpose(1, 2)
        return native.flatten(2, 3).transpose(1, 2)


@dataclass(frozen=True)
class Repeated:
    """Another layout whose library knows no grouped heads: K and V are copied to Hq heads.

    Args:
        base: The library's layout.
        groups: Query heads per key head.
    """

    base: Layout
    groups: int

    def native(self, name: str, canonical: Tensor) -> Tensor:
        """Key head n becomes heads n * groups up to (n + 1) * groups."""
        if name in ("k", "v"):
            canonical = canonical.repeat_interleave(self.groups, 1)
        return self.base.native(name, canonical)

    def canonical(self, name: str, native: Tensor) -> Tensor:
        """Gradients of K and V summed over the group and rounded once."""
        tensor = self.base.canonical(name, native)
        if name in ("k", "v"):
            return _group_sum(_split(tensor, 1, self.groups), 2)
        return tensor


@dataclass(frozen=True)
class BME:
    """(B, M, H * K): nn.MultiheadAttention, batch first.

    Args:
        H: Heads.
    """

    H: int

    def native(self, name: str, canonical: Tensor) -> Tensor:
        """Heads side by side in the last dimension."""
        return canonical.transpose(1, 2).flatten(2)

    def canonical(self, name: str, native: Tensor) -> Tensor:
        """Heads in front again."""
        return native.reshape(*native.shape[:2], self.H, -1).transpose(1, 2)


@dataclass(frozen=True)
class THK:
    """(T, H, K): rows one behind the other, with cu_seqlens.

    Args:
        Bc: Rows of the canonical tensors: 1 for packed storage, B for full padded tensors, which become
            B sequences of equal length (a view where the memory is (B, M, H, K), else a copy).
    """

    Bc: int = 1

    def native(self, name: str, canonical: Tensor) -> Tensor:
        """Heads behind tokens, rows joined."""
        return canonical.transpose(1, 2).flatten(0, 1)

    def canonical(self, name: str, native: Tensor) -> Tensor:
        """Heads in front, rows apart."""
        return native.reshape(self.Bc, -1, *native.shape[1:]).transpose(1, 2)


def _split(tensor: Tensor, dim: int, groups: int) -> Tensor:
    """Heads in `dim` as (key heads, heads of one group)."""
    return tensor.reshape(*tensor.shape[:dim], -1, groups, *tensor.shape[dim + 1 :])


def _group_sum(tensor: Tensor, dim: int) -> Tensor:
    return tensor.sum(dim, dtype=torch.float32).to(tensor.dtype)
