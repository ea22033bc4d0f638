"""Planted bugs in the loop over tiles: bounds, tails, the running maximum, merges of splits."""

from __future__ import annotations

import torch

from tests.mutation.flash import Flash


class RescaleForgottenInLastTile(Flash):
    """The accumulator keeps its old scale when the last key tile raises the maximum."""

    def step(self, g, i, j, s, top, total, acc):
        new, total, right = super().step(g, i, j, s, top, total, acc)
        if j == 0 or j + self.keys < g.Mkv:
            return new, total, right
        decay = torch.exp(top - new.masked_fill(new == -torch.inf, 0.0))
        return new, total, right + acc * (1 - decay)


class RescaleDecidedByFirstRow(Flash):
    """The accumulator of a tile is rescaled only when its first row has a new maximum."""

    def step(self, g, i, j, s, top, total, acc):
        new, total, right = super().step(g, i, j, s, top, total, acc)
        decay = torch.exp(top - new.masked_fill(new == -torch.inf, 0.0))
        still = (new == top)[:, :, :1] & (j > 0)
        return new, total, torch.where(still, right + acc * (1 - decay), right)


class MaximumOfTheTile(Flash):
    """One maximum for all rows of a tile."""

    def maximum(self, s, top):
        return torch.maximum(top, s.amax((-2, -1), keepdim=True))


class MaximumOfEmptyTileIsZero(Flash):
    """A tile without any key sets the running maximum to 0 instead of leaving it."""

    def maximum(self, s, top):
        new = super().maximum(s, top)
        return new.masked_fill(new == -torch.inf, 0.0)


class LaggingMaximum(Flash):
    """The maximum is that of the tiles before: exponentials may grow beyond all bounds."""

    def step(self, g, i, j, s, top, total, acc):
        known = super().maximum(s, top) if j == 0 else top
        safe = known.masked_fill(known == -torch.inf, 0.0)
        w = torch.exp(s - safe)
        seen = torch.where(known == -torch.inf, super().maximum(s, top), known)
        drawn = w if not g.dropout_p else w * self.drawn(g, i, j, w)
        decay = torch.exp(torch.where(top == -torch.inf, 0.0, top - safe))
        shift = torch.exp(safe - seen.masked_fill(seen == -torch.inf, 0.0))
        v = g.v[:, :, j : j + self.keys]
        return (
            seen,
            (total * decay + w.sum(-1, keepdim=True)) * shift,
            (acc * decay + drawn @ v) * shift,
        )


class PaddingCountsInTheTotal(Flash):
    """Keys that fill up the last tile weigh exp(0 - max) in the denominator."""

    def step(self, g, i, j, s, top, total, acc):
        new, total, acc = super().step(g, i, j, s, top, total, acc)
        missing = 0 if g.is_causal or g.allowed is not None else self.keys - s.shape[-1]
        return new, total + missing * torch.exp(-new), acc


class TailOverlapsTheTileBefore(Flash):
    """The last key tile begins early enough to be full; what it repeats counts twice."""

    def visited(self, g, i):
        starts = list(super().visited(g, i))
        if not g.is_causal and g.Mkv > self.keys and g.Mkv % self.keys:
            starts[-1] = g.Mkv - self.keys
        return starts


class CausalBoundRoundsDown(Flash):
    """Under a causal mask the number of key tiles is rounded down where their sizes differ."""

    rows, keys = 64, 48

    def visited(self, g, i):
        if not g.is_causal:
            return super().visited(g, i)
        return range(0, min(g.Mkv, max(1, (i + self.rows) // self.keys) * self.keys), self.keys)


class SkipsByBottomRight(Flash):
    """Tiles are skipped as if causal were bottom-right; within a tile it is top-left."""

    def visited(self, g, i):
        end = i + self.rows + min(0, g.Mkv - g.Mq)
        return range(0, max(0, min(g.Mkv, end)) if g.is_causal else g.Mkv, self.keys)


class MasksOneDiagonalTile(Flash):
    """Only the last tile of a row of tiles is masked; with 128 rows, two lie on the diagonal."""

    rows = 128

    def tile_keep(self, g, i, j, s):
        last = j + self.keys >= min(g.Mkv, i + self.rows)
        keep = super().tile_keep(g, i, j, s)
        return keep if last or g.allowed is not None else torch.ones_like(keep)


class MaskTileNotAdvanced(Flash):
    """The pointer into a boolean mask stays on the second key tile for all that follow."""

    def tile(self, x, i, j):
        width = min(self.keys, x.shape[-1] - j)
        j = min(j, self.keys) if x.dtype == torch.bool else j
        return super().tile(x, i, j)[..., :width]


class SkipsTilesByFirstBatch(Flash):
    """Whether a tile of a mask is empty is looked up in the first batch and head."""

    def visited(self, g, i):
        starts = super().visited(g, i)
        if g.allowed is None:
            return starts
        return [j for j in starts if self.tile(g.allowed, i, j)[0, 0].any()]


class FullTileByItsCorners(Flash):
    """A tile whose four corners are allowed is taken to be allowed throughout."""

    def tile_keep(self, g, i, j, s):
        keep = super().tile_keep(g, i, j, s)
        corners = keep[..., :: max(1, keep.shape[-2] - 1), :: max(1, keep.shape[-1] - 1)]
        return keep | corners.all(-1, keepdim=True).all(-2, keepdim=True)


class SkipsNegligibleTiles(Flash):
    """A key tile whose scores lie 8 below the maximum so far is left out."""

    def step(self, g, i, j, s, top, total, acc):
        return super().step(
            g,
            i,
            j,
            s.masked_fill(s.amax(-1, keepdim=True) < top - 8.0, -torch.inf),
            top,
            total,
            acc,
        )


class AccumulatorInStorage(Flash):
    """The accumulator is kept in the dtype of q between key tiles."""

    def step(self, g, i, j, s, top, total, acc):
        new, total, acc = super().step(g, i, j, s, top, total, acc)
        return new, total, acc.to(g.dtype).float()


class RowTailMasksUnshifted(Flash):
    """The last rows are done by a tile that ends at Mq, masked as if it began where a tile begins."""

    def tile_keep(self, g, i, j, s):
        short = self.rows - s.shape[-2]
        if not (g.is_causal and short and i):
            return super().tile_keep(g, i, j, s)
        rows, keys = torch.arange(s.shape[-2])[:, None] + i + short, torch.arange(s.shape[-1]) + j
        return keys <= rows


class MergesWithoutMaximum(Flash):
    """Splits are merged by exp(lse), with nothing subtracted."""

    def row_tile(self, g, i):
        parts = []
        for j in self.visited(g, i):
            s = self.tile_scores(g, i, j)
            none = s.new_full((*s.shape[:3], 1), -torch.inf), s.new_zeros(*s.shape[:3], 1)
            parts.append(self.finish(*self.step(g, i, j, s, *none, s.new_zeros(()))))
        return self.merge(torch.stack([x for x, _ in parts]), torch.stack([x for _, x in parts]))

    def merge(self, outs, lses):
        share = torch.exp(lses)
        total = share.sum(0)
        return (share * outs).sum(0) / total.masked_fill(total == 0, 1.0), torch.log(total)


class EmptySplitCounts(MergesWithoutMaximum):
    """A split without keys enters the merge with a log-sum-exp of 0."""

    def merge(self, outs, lses):
        lses = lses.masked_fill(lses == -torch.inf, 0.0)
        total = torch.logsumexp(lses, 0)
        return (torch.exp(lses - total) * outs).sum(0), total


class SplitsBeyond128Lost(Flash):
    """The merge has room for 128 splits of 64 keys."""

    def visited(self, g, i):
        return super().visited(g, i)[:128]


class KeyOffsetIn16Bits(Flash):
    """The offset of a key row within its head wraps at 65,536 elements."""

    def expand(self, tensor, Hq):
        rows = max(1, 65_536 // tensor.shape[-1])
        tensor = tensor[:, :, torch.arange(tensor.shape[2]) % rows]
        return super().expand(tensor, Hq)


class FlatIndexInFloat(Flash):
    """The index of an element is computed in float32, which cannot count beyond 2^24."""

    def read(self, name, tensor):
        if name != "k" or tensor.numel() <= 2**24:
            return super().read(name, tensor)
        index = (
            torch.arange(tensor.numel(), dtype=torch.float32).long().clamp(max=tensor.numel() - 1)
        )
        return tensor.reshape(-1)[index].view(tensor.shape).float()


class LastWorkItemsDropped(Flash):
    """A persistent kernel of 32 programs drops the items that do not fill a round."""

    def write(self, name, tensor, dtype):
        B, H, _, _ = tensor.shape
        done = B * H // 32 * 32 if B * H > 32 else B * H
        keep = (torch.arange(B * H) < done).view(B, H, 1, 1)
        return super().write(name, tensor * keep if name == "out" else tensor, dtype)


class KeysQuantised(Flash):
    """Keys are rounded to eight bits, with one step for each token."""

    def read(self, name, tensor):
        x = super().read(name, tensor)
        if name != "k":
            return x
        step = x.abs().amax(-1, keepdim=True).clamp(min=1e-30) / 127
        return torch.round(x / step) * step
