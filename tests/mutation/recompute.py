"""Planted bugs in a backward that recomputes: bounds, D, accumulation, recomputed scores, the bias."""

from __future__ import annotations

from dataclasses import replace

import torch

from tests.mutation.flash import Flash


class BackwardStartsByBottomRight(Flash):
    """Keys look for their first row as if causal were bottom-right."""

    def visitors(self, g, j):
        start = max(0, j - (g.Mkv - g.Mq)) if g.is_causal else 0
        return range(start // self.rows * self.rows, g.Mq, self.rows)


class DeltaOverKeyDim(Flash):
    """D is summed over as many columns as q has."""

    def delta(self, g, out, dout):
        return super().delta(g, out[..., : g.q.shape[-1]], dout[..., : g.q.shape[-1]])


class DeltaOfPaddedColumns(Flash):
    """D leaves out the columns beyond the last multiple of 16."""

    def delta(self, g, out, dout):
        Kv = max(16, out.shape[-1] // 16 * 16)
        return super().delta(g, out[..., :Kv], dout[..., :Kv])


class DoutInnerStrideIsOne(Flash):
    """The gradient is read as if its last stride were 1: that of sum().backward() is 0."""

    def read(self, name, tensor):
        if name != "dout" or tensor.stride(-1) == 1:
            return super().read(name, tensor)
        flat = tensor.as_strided(
            (tensor.untyped_storage().nbytes() // tensor.element_size(),), (1,), 0
        )
        at = sum(
            (torch.arange(n) * s)[(...,) + (None,) * (3 - d)]
            for d, (n, s) in enumerate(zip(tensor.shape, (*tensor.stride()[:3], 1), strict=True))
        )
        return flat[at.clamp(max=flat.numel() - 1)].float() * (at < flat.numel())


class GradientsThroughHalf(Flash):
    """dS passes through float16 whatever the inputs are: small ones vanish, large ones overflow."""

    def dscores(self, g, p, dp, D):
        ds = super().dscores(g, p, dp, D)
        return ds if g.dtype == torch.float32 else ds.half().float()


class ValuesThroughHalf(Flash):
    """bfloat16 values pass through float16, which ends at 65,504."""

    def read(self, name, tensor):
        return super().read(
            name, tensor.half() if name == "v" and tensor.dtype == torch.bfloat16 else tensor
        )


class AccumulatesDkInStorage(Flash):
    """dk and dv are kept in the dtype of q between row tiles."""

    def add(self, g, total, part):
        return (total + part).to(g.dtype).float()


class BackwardInTenBits(Flash):
    """Products of the backward read float32 with ten bits, as TF32 does."""

    def dk_tile(self, g, ds, i, j, p):
        ds = (ds.view(torch.int32) & ~0x1FFF).view(torch.float32)
        return super().dk_tile(g, ds, i, j, p)


class ScaleDefaultInBackward(Flash):
    """The backward recomputes scores with K ** -0.5, whatever the forward was given."""

    def backward_scores(self, g, i, j):
        return self.tile_scores(replace(g, scale=g.q.shape[-1] ** -0.5), i, j)


class BiasOfFirstHeadInBackward(Flash):
    """The backward recomputes scores with the bias of the first head."""

    def backward_scores(self, g, i, j):
        if g.bias is None:
            return super().backward_scores(g, i, j)
        return self.tile_scores(replace(g, bias=g.bias[:, :1]), i, j)


class MaskOfFirstBatchInBackward(Flash):
    """The backward masks every batch as the first."""

    def backward_scores(self, g, i, j):
        if g.allowed is None:
            return super().backward_scores(g, i, j)
        return self.tile_scores(replace(g, allowed=g.allowed[:1]), i, j)


class DqTailUnscaled(Flash):
    """The last rows' part of dq misses the scale when they do not fill a tile."""

    def dq_tile(self, g, ds, i, j):
        part = super().dq_tile(g, ds, i, j)
        return part if i + self.rows <= g.Mq else part / (g.scale or 1.0)


class DkInBaseTwo(Flash):
    """Scores were taken to base two, and dk keeps the factor."""

    def dk_tile(self, g, ds, i, j, p):
        return super().dk_tile(g, ds, i, j, p) * 1.4426950408889634


class DbiasOverwrittenByRowTiles(Flash):
    """Where a bias is broadcast over rows, each tile of rows overwrites what the last one wrote."""

    def dbias(self, g, dS, bias):
        if bias.shape[-2] != 1 or g.Mq <= self.rows:
            return super().dbias(g, dS, bias)
        return super().dbias(g, dS[:, :, (g.Mq - 1) // self.rows * self.rows :], bias)


class DbiasIsNaNWhereForbidden(Flash):
    """A bias of -inf has NaN as gradient."""

    def dbias(self, g, dS, bias):
        return super().dbias(g, dS, bias).masked_fill(bias == -torch.inf, torch.nan)


class DbiasOfExpandedHeadsMean(Flash):
    """A bias shared by heads gets their mean."""

    def dbias(self, g, dS, bias):
        shared = bias.ndim < 3 or bias.shape[-3] == 1
        return super().dbias(g, dS, bias) / (dS.shape[1] if shared else 1)


class DkSumsPowerOfTwoHeads(Flash):
    """Heads of a group are added up in pairs; what is left over is lost."""

    def group(self, name, gradient, Hkv, dtype):
        B, Hq, M, K = gradient.shape
        size = Hq // Hkv
        return gradient.view(B, Hkv, size, M, K)[:, :, : 1 << (size.bit_length() - 1)].sum(2)


class DvBeyondKeyDim(Flash):
    """Columns of dv beyond the head dim of k stay zero."""

    def backward(self, g, out, lse, dout):
        dq, dk, dv, dS = super().backward(g, out, lse, dout)
        dv[..., g.q.shape[-1] :] = 0
        return dq, dk, dv, dS


class DoutOverwritten(Flash):
    """The backward scales the gradient that it was given in place."""

    def read(self, name, tensor):
        x = super().read(name, tensor).clone()
        if name == "dout" and tensor.is_contiguous():
            tensor.data.mul_(0.5)
        return x


class OutputOverwritten(Flash):
    """The backward uses the output's memory, which the caller still holds, as scratch."""

    def write(self, name, tensor, dtype):
        result = super().write(name, tensor, dtype)
        if name == "out":
            self.kept = result
        elif name == "dv" and hasattr(self, "kept"):
            self.kept.data.zero_()
        return result


class ProbabilitiesReusedInPlace(Flash):
    """The log-sum-exp is negated in place by the backward; a second backward finds it negated."""

    def backward(self, g, out, lse, dout):
        results = super().backward(g, out, lse, dout)
        lse.data.neg_()
        return results


class EmptyRowsSpoilDbias(Flash):
    """Rows without a key have NaN in the gradient of the bias."""

    def dbias(self, g, dS, bias):
        if g.allowed is None and not (bias == -torch.inf).all(-1).any():
            return super().dbias(g, dS, bias)
        empty = (bias == -torch.inf).all(-1, keepdim=True).expand(bias.shape)
        return super().dbias(g, dS, bias).masked_fill(empty, torch.nan)
