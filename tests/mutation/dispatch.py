"""Planted bugs around kernels: paths for some shapes or arguments that forget another argument."""

from __future__ import annotations

import torch

from tests.mutation.base import Attention
from tests.mutation.flash import Flash


class _Dispatch(Attention):
    """Right attention whose arguments pass through `route` first."""

    def __call__(self, query, key, value, attn_mask=None, **options):
        """Scaled dot product attention."""
        options = {"dropout_p": 0.0, "is_causal": False, "scale": None, **options}
        options = self.route(query, key, value, options | {"attn_mask": attn_mask})
        return super().__call__(query, key, value, **options)

    def route(self, q, k, v, options):
        """What is passed on."""
        return options


def _boolean(options):
    mask = options["attn_mask"]
    return mask is not None and mask.dtype == torch.bool


class DecodeIgnoresMask(_Dispatch):
    """One query attends all keys, whatever the boolean mask says."""

    def route(self, q, k, v, options):
        drop = q.shape[2] == 1 and _boolean(options)
        return options | ({"attn_mask": None} if drop else {})


class DecodeIgnoresBias(_Dispatch):
    """One query gets no bias."""

    def route(self, q, k, v, options):
        drop = q.shape[2] == 1 and not _boolean(options)
        return options | ({"attn_mask": None} if drop else {})


class DecodeSplitsUnevenly(_Dispatch):
    """One query over at least 512 keys: eight splits, whose remainder nobody takes."""

    def logits(self, q, k, scale):
        scores = super().logits(q, k, scale)
        if q.shape[2] == 1 and k.shape[2] >= 512:
            scores[..., k.shape[2] // 8 * 8 :] = -torch.inf
        return scores


class CausalLostWhenPadded(_Dispatch):
    """A head dim that is no multiple of 8 is padded, and the call repeated without `is_causal`."""

    def route(self, q, k, v, options):
        lost = q.shape[-1] % 8 != 0
        return options | ({"is_causal": False} if lost else {})


class MaskLostWhenPadded(_Dispatch):
    """A head dim that is no multiple of 8 is padded, and the call repeated without a mask."""

    def route(self, q, k, v, options):
        lost = q.shape[-1] % 8 != 0
        return options | ({"attn_mask": None} if lost else {})


class CausalLostWithOtherValueDim(_Dispatch):
    """Kv != K takes a path that knows no causal mask."""

    def route(self, q, k, v, options):
        lost = q.shape[-1] != v.shape[-1]
        return options | ({"is_causal": False} if lost else {})


class CausalLostWhenUnaligned(_Dispatch):
    """Tensors that are not 16-byte aligned take a path that knows no causal mask."""

    def route(self, q, k, v, options):
        lost = q.data_ptr() % 16 != 0
        return options | ({"is_causal": False} if lost else {})


class BiasLostWithGivenScale(_Dispatch):
    """A scale of one's own takes the path without a bias."""

    def route(self, q, k, v, options):
        lost = options["scale"] is not None and not _boolean(options)
        return options | ({"attn_mask": None} if lost else {})


class CausalLostWithGivenScale(_Dispatch):
    """A scale of one's own takes the path without a causal mask."""

    def route(self, q, k, v, options):
        return options | ({"is_causal": False} if options["scale"] is not None else {})


class ScaleLostWithGroups(_Dispatch):
    """Grouped heads take a path with the default scale."""

    def route(self, q, k, v, options):
        return options | ({"scale": None} if q.shape[1] != k.shape[1] else {})


class ScaleLostForOneQuery(_Dispatch):
    """A single query takes a path with the default scale."""

    def route(self, q, k, v, options):
        return options | ({"scale": None} if q.shape[2] == 1 else {})


class MaskLostWithGroups(_Dispatch):
    """Grouped heads take a path without a boolean mask by head."""

    def route(self, q, k, v, options):
        mask = options["attn_mask"]
        if q.shape[1] != k.shape[1] and _boolean(options) and mask.ndim == 4 and mask.shape[1] > 1:
            options = options | {"attn_mask": mask[:, :1]}
        return options


class BiasOfKeyHeads(_Dispatch):
    """With grouped heads the bias is looked up by the key head."""

    def route(self, q, k, v, options):
        mask, groups = options["attn_mask"], q.shape[1] // k.shape[1]
        if mask is not None and not _boolean(options) and mask.ndim == 4 and mask.shape[1] > 1:
            options = options | {"attn_mask": mask[:, torch.arange(q.shape[1]) // groups]}
        return options


class WideHeadsSkipDiagonal(_Dispatch):
    """Head dims above 128 have smaller tiles, and a causal bound that was not changed with them."""

    def logits(self, q, k, scale):
        self.wide = q.shape[-1] > 128
        return super().logits(q, k, scale)

    def allowed(self, Mq, Mkv, call, device):
        keep = super().allowed(Mq, Mkv, call, device)
        if call.is_causal and self.wide:
            rows = torch.arange(Mq)[:, None]
            keep = keep & (torch.arange(Mkv) < (rows // 32 + 1) * 32 - 16)
        return keep


class DropoutPathForgetsMask(_Dispatch):
    """With dropout a boolean mask is ignored."""

    def route(self, q, k, v, options):
        lost = options["dropout_p"] > 0 and _boolean(options)
        return options | ({"attn_mask": None} if lost else {})


class DropoutPathForgetsBias(_Dispatch):
    """With dropout a bias is ignored."""

    def route(self, q, k, v, options):
        lost = options["dropout_p"] > 0 and not _boolean(options)
        return options | ({"attn_mask": None} if lost else {})


class DropoutPathForgetsScale(_Dispatch):
    """With dropout the scale is the default."""

    def route(self, q, k, v, options):
        return options | ({"scale": None} if options["dropout_p"] else {})


class GroupsByShift(Attention):
    """The key head is the query head shifted by log2 of the group's size."""

    def expand(self, tensor, Hq):
        shift = (Hq // tensor.shape[1]).bit_length() - 1
        return tensor[:, (torch.arange(Hq) >> shift) % tensor.shape[1]]


class PackedGroupsForgetCausal(_Dispatch):
    """A few queries of one group become rows of one tile; causal counts these rows."""

    def route(self, q, k, v, options):
        groups, Mq, Mkv = q.shape[1] // k.shape[1], q.shape[2], k.shape[2]
        if options["is_causal"] and groups > 1 and Mq * groups <= 64:
            rows = torch.arange(Mq)[:, None] * groups
            options = options | {"is_causal": False, "attn_mask": torch.arange(Mkv) <= rows}
        return options


class LayoutGuessedFromShape(_Dispatch):
    """More heads than queries are taken for (B, M, H, K)."""

    def __call__(self, query, key, value, *rest, **options):
        if query.shape[1] > query.shape[2] and query.shape == key.shape == value.shape:
            swapped = (x.transpose(1, 2) for x in (query, key, value))
            return super().__call__(*swapped, *rest, **options).transpose(1, 2)
        return super().__call__(query, key, value, *rest, **options)


class LastHeadOfOddCount(Attention):
    """Heads are done in pairs; the last of an odd number repeats its neighbour."""

    def write(self, name, tensor, dtype):
        H = tensor.shape[1]
        if name == "out" and H % 2 and H > 1:
            tensor = torch.cat([tensor[:, :-1], tensor[:, -2:-1]], 1)
        return super().write(name, tensor, dtype)


class MaskBeforeScale(Flash):
    """Scores become -inf before they are scaled: a negative scale makes +inf of that, zero makes NaN."""

    def tile_scores(self, g, i, j):
        if g.scale > 0:
            return super().tile_scores(g, i, j)
        s = super().tile_scores(g, i, j)
        return s.masked_fill(s == -torch.inf, torch.nan if g.scale == 0 else torch.inf)


class NegativeScaleOverflows(Flash):
    """The maximum is taken before the scale: with a negative one it is the minimum."""

    def step(self, g, i, j, s, top, total, acc):
        if g.scale >= 0:
            return super().step(g, i, j, s, top, total, acc)
        low = s.masked_fill(s == -torch.inf, torch.inf).amin(-1, keepdim=True)
        new = torch.where(top == -torch.inf, low, torch.minimum(top, low))
        new = new.masked_fill(new == torch.inf, -torch.inf)
        safe = new.masked_fill(new == -torch.inf, 0.0)
        w = torch.exp(s - safe)
        decay = torch.where(top == -torch.inf, 0.0, torch.exp(top - safe))
        return (
            new,
            total * decay + w.sum(-1, keepdim=True),
            acc * decay + w @ g.v[:, :, j : j + self.keys],
        )


class HeadDimPadRepeats(Flash):
    """K that is no multiple of 8 is filled up with what lies behind, in q and in k."""

    def read(self, name, tensor):
        x = super().read(name, tensor)
        if name == "q":
            self.K = x.shape[-1]
        if name not in ("q", "k"):
            return x
        return torch.cat([x, x[..., -1:].expand(*x.shape[:3], -x.shape[-1] % 8)], -1)

    def write(self, name, tensor, dtype):
        return super().write(name, tensor[..., : self.K] if name in ("dq", "dk") else tensor, dtype)
