"""Planted bugs: who may attend whom."""

from __future__ import annotations

import torch

from tests.mutation.base import Attention, Call


class CausalStrict(Attention):
    """Causal excludes the diagonal."""

    def causal(self, i, j, Mq, Mkv):
        return (j < i) | (i == 0) & (j == 0)


class CausalOneAhead(Attention):
    """Causal lets every query see one key of its future."""

    def causal(self, i, j, Mq, Mkv):
        return j <= i + 1


class CausalBottomRight(Attention):
    """`is_causal` is aligned at the bottom right, as in flash-attn 2.1 and later."""

    def causal(self, i, j, Mq, Mkv):
        return j <= i + Mkv - Mq


class CausalByTile(Attention):
    """The causal test is made per tile of 16, so that the diagonal tile leaks."""

    def causal(self, i, j, Mq, Mkv):
        return j // 16 <= i // 16


class CausalForgotInLastTile(Attention):
    """The last partial key tile is not masked."""

    def causal(self, i, j, Mq, Mkv):
        return (j <= i) | (j >= Mkv // 16 * 16)


class CausalIgnoredForShortQueries(Attention):
    """A decode path for few queries forgets `is_causal`."""

    def causal(self, i, j, Mq, Mkv):
        return (j <= i) | torch.tensor(Mq < 16)


class CausalOffByOneOnLongKeys(Attention):
    """The causal limit is one too far once there are more than 96 keys."""

    def causal(self, i, j, Mq, Mkv):
        return j <= i + (Mkv > 96)


class OneLeakAtTileEdge(Attention):
    """One future key is seen at a tile boundary."""

    def causal(self, i, j, Mq, Mkv):
        return (j <= i) | (i == 63) & (j == 64) | (i == 15) & (j == 16)


class LastKeyNeverSeen(Attention):
    """The last key is masked in long rows."""

    def causal(self, i, j, Mq, Mkv):
        return (j <= i) & ((j < Mkv - 1) | (i == 0))


class FirstKeyAlwaysSeen(Attention):
    """Key 0 is attended whatever the mask says."""

    def allowed(self, Mq, Mkv, call: Call, device):
        keep = super().allowed(Mq, Mkv, call, device).clone()
        keep[..., 0] = True
        return keep


class MaskInverted(Attention):
    """A boolean mask is read as True = ignore."""

    def allowed(self, Mq, Mkv, call: Call, device):
        turned = None if call.allowed is None else ~call.allowed
        return super().allowed(
            Mq, Mkv, Call(turned, call.is_causal, call.scale, call.dropout_p), device
        )


class MaskOfFirstBatch(Attention):
    """Every batch element uses the mask of the first."""

    def allowed(self, Mq, Mkv, call: Call, device):
        keep = super().allowed(Mq, Mkv, call, device)
        return keep[:1] if keep.dim() == 4 else keep


class MaskOfFirstHead(Attention):
    """Every head uses the mask of the first (a bias per head included)."""

    def add(self, scores, bias):
        return scores + bias[:, :1].float()


class MaskTransposed(Attention):
    """A square boolean mask is read with rows and columns swapped."""

    def allowed(self, Mq, Mkv, call: Call, device):
        keep = super().allowed(Mq, Mkv, call, device)
        return keep.mT if Mq == Mkv and call.allowed is not None else keep


class MaskIgnored(Attention):
    """A boolean mask together with long keys is dropped."""

    def allowed(self, Mq, Mkv, call: Call, device):
        given = None if Mkv > 64 else call.allowed
        return super().allowed(
            Mq, Mkv, Call(given, call.is_causal, call.scale, call.dropout_p), device
        )


class MaskShifted(Attention):
    """A boolean mask is read one column off."""

    def allowed(self, Mq, Mkv, call: Call, device):
        keep = super().allowed(Mq, Mkv, call, device)
        return keep if call.allowed is None else keep.roll(1, -1)


class FiniteMask(Attention):
    """Masked scores are -1e4 away instead of infinitely far."""

    def mask(self, scores, keep):
        return scores.masked_fill(~keep, -1e4)


class SmallFiniteMask(Attention):
    """Masked scores are only 20 below: each leaks e^-20."""

    def mask(self, scores, keep):
        return torch.where(keep, scores, scores - 20.0)


class OneHeadLeaks(Attention):
    """In the last head, one query sees one masked key."""

    def mask(self, scores, keep):
        keep = keep.expand(scores.shape).clone()
        keep[:, -1, -1, -1] = True
        keep[:, -1, min(5, scores.shape[2] - 1), min(6, scores.shape[3] - 1)] = True
        return super().mask(scores, keep)


class EmptyRowsAreNaN(Attention):
    """Rows without a key give NaN."""

    def softmax(self, scores):
        return torch.softmax(scores, -1)


class EmptyRowsAreMeans(Attention):
    """Rows without a key average all values."""

    def mask(self, scores, keep):
        return scores.masked_fill(~keep, torch.finfo(torch.float32).min)


class WindowForgotten(Attention):
    """Keys more than 48 before the query are skipped."""

    def causal(self, i, j, Mq, Mkv):
        return (j <= i) & (j > i - 48)


class StaleMask(Attention):
    """The first mask of a shape is kept for later calls of that shape."""

    def __init__(self):
        self.kept = {}

    def allowed(self, Mq, Mkv, call: Call, device):
        return self.kept.setdefault((Mq, Mkv), super().allowed(Mq, Mkv, call, device))
