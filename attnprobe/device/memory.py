"""How q, k and v lie in memory: the strides that a caller's own code would give them.

Values and canonical shapes (Bc, H, T, K) are the same in every layout; only strides, offsets and
sharing of storage differ. Which kernel a library picks, and whether it copies, depends on them.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Triple = tuple[Tensor, Tensor, Tensor]


def _bhmk(q: Tensor, k: Tensor, v: Tensor) -> Triple:
    """Contiguous as (B, H, M, K)."""
    return q.contiguous(), k.contiguous(), v.contiguous()


def _transposed(t: Tensor) -> Tensor:
    """Contiguous as (B, M, H, K): what a projection followed by a view leaves."""
    return t.transpose(1, 2).contiguous().transpose(1, 2)


def _bmhk(q: Tensor, k: Tensor, v: Tensor) -> Triple:
    return _transposed(q), _transposed(k), _transposed(v)


def _packed_qkv(q: Tensor, k: Tensor, v: Tensor) -> Triple:
    """Three slices of one (B, M, 3, H, K) tensor: what one fused input projection leaves."""
    if not q.shape == k.shape == v.shape:
        raise ValueError(
            "layout packed-qkv needs q, k and v of one shape; they are "
            f"{tuple(q.shape)}, {tuple(k.shape)} and {tuple(v.shape)}"
        )
    packed = torch.stack([t.transpose(1, 2) for t in (q, k, v)], dim=2)
    q, k, v = (packed[:, :, n].transpose(1, 2) for n in range(3))
    return q, k, v


def _expanded_kv(q: Tensor, k: Tensor, v: Tensor) -> Triple:
    """Keys and values of the first sequence shared by all: stride 0 over B (a common prompt)."""
    return q.contiguous(), k[:1].contiguous().expand_as(k), v[:1].contiguous().expand_as(v)


def _strided(q: Tensor, k: Tensor, v: Tensor) -> Triple:
    """Every second element of a row twice as long: the last stride is 2."""

    def one(t: Tensor) -> Tensor:
        wide = t.new_zeros(*t.shape[:-1], 2 * t.shape[-1])
        wide[..., ::2] = t
        return wide[..., ::2]

    return one(q), one(k), one(v)


def _unaligned(q: Tensor, k: Tensor, v: Tensor) -> Triple:
    """Contiguous, but the first element is one element behind an aligned address."""

    def one(t: Tensor) -> Tensor:
        storage = t.new_zeros(t.numel() + 1)
        shifted = storage[1:].view(t.shape)
        return shifted.copy_(t)

    return one(q), one(k), one(v)


SPARE = 5
"""Slots of a cache that are not filled yet."""


def _kv_cache(q: Tensor, k: Tensor, v: Tensor) -> Triple:
    """Queries of a projection; keys and values fill the first slots of caches, and NaN lies behind."""

    def cached(t: Tensor) -> Tensor:
        slots = t.new_full((*t.shape[:2], t.shape[2] + SPARE, t.shape[3]), torch.nan)
        return slots[:, :, : t.shape[2]].copy_(t)

    return _transposed(q), cached(k), cached(v)


def _mixed(q: Tensor, k: Tensor, v: Tensor) -> Triple:
    """(B, M, H, K) for q, (B, H, M, K) for k, (H, B, M, K) for v: nobody's strides are another's."""
    return _transposed(q), k.contiguous(), v.transpose(0, 1).contiguous().transpose(0, 1)


def _shared_kv(q: Tensor, k: Tensor, v: Tensor) -> Triple:
    """Keys and values are one tensor, as where both are the same latent."""
    if k.shape != v.shape:
        raise ValueError(
            f"layout shared-kv needs one shape; k {tuple(k.shape)}, v {tuple(v.shape)}"
        )
    one = k.contiguous()
    return q.contiguous(), one, one


LAYOUTS: dict[str, Callable[[Tensor, Tensor, Tensor], Triple]] = {
    "BHMK": _bhmk,
    "BMHK": _bmhk,
    "packed-qkv": _packed_qkv,
    "expanded-kv": _expanded_kv,
    "strided": _strided,
    "unaligned": _unaligned,
    "kv-cache": _kv_cache,
    "mixed": _mixed,
    "shared-kv": _shared_kv,
}


def lay_out(layout: str, q: Tensor, k: Tensor, v: Tensor) -> Triple:
    """The same tensors with the strides of `layout`.

    With `expanded-kv` every sequence gets the keys and values of the first, with `shared-kv` the
    values are the keys.

    Raises:
        ValueError: An unknown layout, or one that these shapes cannot have.
    """
    if layout not in LAYOUTS:
        raise ValueError(f"unknown memory layout {layout!r}; known: {', '.join(LAYOUTS)}")
    return LAYOUTS[layout](q, k, v)


def like_out(layout: str, dout: Tensor) -> Tensor:
    """The gradient of the output as the next layer hands it back: in the order that q has."""
    as_q = layout in ("BMHK", "packed-qkv", "kv-cache", "mixed")
    return _transposed(dout) if as_q else dout.contiguous()


def elsewhere(x: Tensor, device: str) -> Tensor:
    """The same memory on another device, read alike: strides, offset and what lies between included."""
    whole = x.new_empty(0).set_(x.untyped_storage())
    return whole.to(device).as_strided(x.shape, x.stride(), x.storage_offset())
