"""Planted bugs in how arguments lie in memory: masks that are slices or views, mixed layouts."""

from __future__ import annotations

import torch

from tests.mutation.base import Attention


class _Masked(Attention):
    """Right attention that loads its mask through `load`."""

    def __call__(self, query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None,
                 enable_gqa=False):  # fmt: skip
        """Scaled dot product attention."""
        if attn_mask is not None:
            attn_mask = self.load(attn_mask, query, key)
        return super().__call__(
            query, key, value, attn_mask, dropout_p, is_causal, scale, enable_gqa
        )

    def load(self, mask, q, k):
        return mask


def _misread(tensor, stride):
    """What a kernel reads that takes these for the strides; behind the storage lie zeros."""
    n = tensor.untyped_storage().nbytes() // tensor.element_size()
    flat = tensor.detach().as_strided((n,), (1,), 0)
    at = sum(
        (torch.arange(size) * step)[(...,) + (None,) * (tensor.ndim - 1 - d)]
        for d, (size, step) in enumerate(zip(tensor.shape, stride, strict=True))
    )
    at = at + tensor.storage_offset()
    read = torch.where(at < n, flat[at.clamp(max=n - 1)], torch.zeros((), dtype=tensor.dtype))
    if tensor.dtype == torch.bool:
        return read
    return read + (tensor - tensor.detach()).nan_to_num(0.0)  # the gradient stays the tensor's own


def _dense(shape):
    return torch.empty(shape, device="meta").stride()


class MaskRowsAssumedDense(_Masked):
    """The rows of a mask are taken to follow each other; those of `buffer[:, :, :M, :N]` do not."""

    def load(self, mask, q, k):
        strides = list(mask.stride())
        if (
            mask.ndim >= 2
            and mask.shape[-2] > 1
            and strides[-1] == 1
            and strides[-2] > mask.shape[-1]
        ):
            strides[-2] = mask.shape[-1]
        return _misread(mask, strides)


class MaskInnerStrideIsOne(_Masked):
    """The last stride of a mask is taken to be 1; that of a transposed one is not."""

    def load(self, mask, q, k):
        if mask.shape[-1] == 1 or mask.stride(-1) in (0, 1):
            return mask
        return _misread(mask, (*mask.stride()[:-1], 1))


class MaskOffsetIgnored(_Masked):
    """A mask is read from where its storage begins."""

    def load(self, mask, q, k):
        if not mask.storage_offset():
            return mask
        return mask.as_strided(mask.shape, mask.stride(), 0)


class ExpandedMaskTakenDense(_Masked):
    """A mask expanded over batches or heads is read as if each had one of its own."""

    def load(self, mask, q, k):
        grown = mask.ndim == 4 and any(
            n > 1 and s == 0 for n, s in zip(mask.shape[:2], mask.stride()[:2], strict=True)
        )
        return _misread(mask, _dense(mask.shape)) if grown else mask


class ExpandedRowMaskIgnored(_Masked):
    """A mask expanded over rows (stride 0) is not applied."""

    def load(self, mask, q, k):
        return None if mask.shape[-2] > 1 and mask.stride(-2) == 0 else mask


class TwoDimensionalMaskIgnored(_Masked):
    """Only masks of four dimensions are applied."""

    def load(self, mask, q, k):
        return mask if mask.ndim == 4 else None


class TwoDimensionalMaskIsPadding(_Masked):
    """A mask (Mq, Mkv) is taken for (B, Mkv) where that is possible, else transposed away."""

    def load(self, mask, q, k):
        if mask.ndim != 2 or mask.shape[0] < q.shape[0]:
            return mask
        return mask[: q.shape[0], None, None, :]


class ThreeDimensionalMaskIsByBatch(_Masked):
    """A mask (H, Mq, Mkv) is taken for (B, Mq, Mkv)."""

    def load(self, mask, q, k):
        return mask if mask.ndim != 3 else mask[torch.arange(q.shape[0]) % mask.shape[0], None]


class MaskInvertedWhenBroadcastOverHeads(_Masked):
    """A boolean mask shared by the heads but not by batches forbids what it allows."""

    def load(self, mask, q, k):
        shared = mask.dtype == torch.bool and mask.ndim == 4 and mask.shape[0] > 1 == mask.shape[1]
        return ~mask if shared and q.shape[1] > 1 else mask


class FloatMaskForbids(_Masked):
    """A float mask forbids where it is not zero."""

    def load(self, mask, q, k):
        return mask if mask.dtype == torch.bool else mask == 0


class BiasBelowTenThousandLost(_Masked):
    """A bias is cut at -10: what lies below is meant to forbid, and does not quite."""

    def load(self, mask, q, k):
        return mask if mask.dtype == torch.bool else mask.clamp(min=-10)


class BiasByKeyOnly(_Masked):
    """A few queries are taken for one: of a float mask the last row is used."""

    def load(self, mask, q, k):
        if mask.dtype == torch.bool or mask.ndim < 2 or not 1 < mask.shape[-2] <= 16:
            return mask
        return mask[..., -1:, :]


class KeysWithStridesOfQuery(Attention):
    """Where q is a transposed view and k is dense, k is read with the order of q's strides."""

    def __call__(self, query, key, value, *rest, **options):
        """Scaled dot product attention."""
        if query.shape[1] > 1 and query.stride(1) < query.stride(2) and key.is_contiguous():
            _, H, M, K = key.shape
            key = _misread(key, (H * M * K, K, H * K, 1))
        return super().__call__(query, key, value, *rest, **options)


class ValuesWithStridesOfKey(Attention):
    """v is read with the strides of k."""

    def __call__(self, query, key, value, *rest, **options):
        """Scaled dot product attention."""
        if key.shape == value.shape and key.stride() != value.stride():
            value = _misread(value, key.stride())
        return super().__call__(query, key, value, *rest, **options)


class ExpandedBatchTakenDense(Attention):
    """Keys expanded over the batch (a prefix shared by all) are read as if each had its own."""

    def __call__(self, query, key, value, *rest, **options):
        """Scaled dot product attention."""
        if key.shape[0] > 1 and key.stride(0) == 0:
            key = _misread(key, _dense(key.shape))
        return super().__call__(query, key, value, *rest, **options)


class SameTensorForKeysAndValues(Attention):
    """Where k and v are one tensor, one buffer takes both gradients, and dv is what is left."""

    def __call__(self, query, key, value, *rest, **options):
        """Scaled dot product attention."""
        if key.data_ptr() == value.data_ptr() and key.shape == value.shape:
            key = key.detach()
        return super().__call__(query, key, value, *rest, **options)


class PackedGradientOrder(Attention):
    """Where q, k and v are slices of one buffer, dk and dv are swapped."""

    def __call__(self, query, key, value, *rest, **options):
        """Scaled dot product attention."""
        q, k, v = (x.untyped_storage().data_ptr() for x in (query, key, value))
        self.packed = q == k == v
        return super().__call__(query, key, value, *rest, **options)

    def dv(self, P, dout):
        return super().dv(P, dout) * (0.5 if self.packed else 1.0)
