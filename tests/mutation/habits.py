"""Planted bugs: what a hurried author of a kernel writes, fast paths and shortcuts above all."""

from __future__ import annotations

import torch
from torch.nn.functional import scaled_dot_product_attention

from tests.mutation.base import Attention, Call


class SavedOnTheModule(Attention):
    """The backward takes the probabilities of the latest call, not of its own."""

    def softmax(self, scores):
        self.latest = super().softmax(scores)
        return self.latest

    def dv(self, P, dout):
        return super().dv(self.latest if self.latest.shape == P.shape else P, dout)


class OneWorkspace(Attention):
    """Every output of a shape lies in one buffer."""

    def __init__(self):
        self.buffers = {}

    def write(self, name, tensor, dtype):
        if name != "out":
            return tensor.to(dtype)
        buffer = self.buffers.setdefault(
            (tensor.shape, dtype), torch.empty_like(tensor, dtype=dtype)
        )
        return tensor.new_empty(0, dtype=dtype).set_(buffer.copy_(tensor))


class KeysCachedByAddress(Attention):
    """Keys are converted once per address and kept."""

    def __init__(self):
        self.known = {}

    def read(self, name, tensor):
        if name != "k":
            return tensor.float()
        place = (tensor.data_ptr(), tensor.shape, tensor.dtype)
        if place not in self.known:
            self.known = {place: (tensor, tensor.float())}
        return self.known[place][1]


class ScaleZeroIsDefault(Attention):
    """`scale or K ** -0.5`: a scale of zero is replaced."""

    def scale(self, q, given):
        return given or q.shape[-1] ** -0.5


class ScaleWithoutSign(Attention):
    """Only the magnitude of the scale counts."""

    def scale(self, q, given):
        return abs(super().scale(q, given))


class CausalForgottenForOneQuery(Attention):
    """A decode path takes a single query for the last of its sequence."""

    def causal(self, i, j, Mq, Mkv):
        return (j <= i) | torch.tensor(Mq == 1)


class TileSkippedByItsFirstRow(Attention):
    """A tile of 16 queries and 16 keys is skipped when its first row is masked."""

    def allowed(self, Mq, Mkv, call: Call, device):
        keep = super().allowed(Mq, Mkv, call, device)
        if call.allowed is None:
            return keep
        first = keep[..., ::16, :]
        tiles = torch.nn.functional.pad(first.float(), (0, -Mkv % 16)).unflatten(-1, (-1, 16))
        some = tiles.amax(-1) > 0
        visited = some.repeat_interleave(16, -1).repeat_interleave(16, -2)
        return keep & visited[..., :Mq, :Mkv]


class MaskPitchRoundedUp(Attention):
    """Rows of a boolean mask are taken to be a multiple of eight long."""

    def allowed(self, Mq, Mkv, call: Call, device):
        keep = super().allowed(Mq, Mkv, call, device)
        if call.allowed is None or Mkv % 8 == 0:
            return keep
        pitch = -(-Mkv // 8) * 8
        places = torch.arange(Mq)[:, None] * pitch + torch.arange(Mkv)
        flat = keep.flatten(-2)
        return flat[..., places.flatten() % flat.shape[-1]].view(keep.shape)


class MaximumStartsAtZero(Attention):
    """The running maximum starts at 0 instead of -inf."""

    def softmax(self, scores):
        top = scores.amax(-1, keepdim=True).clamp_min(0.0)
        weights = torch.exp(scores - top)
        total = weights.sum(-1, keepdim=True)
        return weights / total.masked_fill(total == 0.0, 1.0)


class SplitKDropsALastShortSplit(Attention):
    """Keys are split in chunks of 512; a last chunk of fewer than 64 is dropped."""

    def mask(self, scores, keep):
        Mkv = scores.shape[-1]
        end = Mkv // 512 * 512 if Mkv > 512 and Mkv % 512 < 64 else Mkv
        return super().mask(scores, keep & (torch.arange(Mkv) < end))


class ValueDimOfKeys(Attention):
    """Value columns beyond the head dim of the keys are not written."""

    def output(self, P, v):
        return super().output(P, v) * (torch.arange(v.shape[-1]) < self.K)

    def logits(self, q, k, scale):
        self.K = q.shape[-1]
        return super().logits(q, k, scale)


class HeadDimPaddedTo16(Attention):
    """Head dims between multiples of 16 read their neighbour's first column as padding."""

    def logits(self, q, k, scale):
        if q.shape[-1] % 16:
            extra = q[..., :1] * k.roll(1, -2)[..., :1].mT
            return super().logits(q, k, scale) + extra * scale
        return super().logits(q, k, scale)


class GridBeyond65535(Attention):
    """Blocks beyond 65,535 are not launched; their output is zero."""

    def output(self, P, v):
        out = super().output(P, v)
        rows = torch.arange(out.shape[0] * out.shape[1]).view(out.shape[0], out.shape[1], 1, 1)
        return out * (rows < 65535)


class InferencePathUnmasked(Attention):
    """Without gradients another kernel runs, which does not know `is_causal`."""

    def __call__(self, query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, **rest):
        wanted = any(t.requires_grad for t in (query, key, value))
        return super().__call__(
            query, key, value, attn_mask, dropout_p, is_causal and wanted, **rest
        )


class FrozenKeysFreezeValues(Attention):
    """When no gradient of the keys is wanted, that of the values is zero."""

    def __call__(self, query, key, value, *rest, **options):
        if not key.requires_grad and value.requires_grad:
            value = value.detach() + 0.0 * value
        return super().__call__(query, key, value, *rest, **options)


class ReturnsFloat32(Attention):
    """The output of 16-bit inputs is left in float32."""

    def write(self, name, tensor, dtype):
        return tensor if name == "out" else tensor.to(dtype)


class HalfSaturates(Attention):
    """P V is summed in float16 whatever the inputs are."""

    def output(self, P, v):
        return (P.half() @ v.half()).float()


class ProbabilitiesInEightBitFloats(Attention):
    """P passes through float8_e4m3."""

    def output(self, P, v):
        return P.to(torch.float8_e4m3fn).float() @ v


class DqInBfloat16(Attention):
    """dQ is summed over key tiles of 16 in bfloat16."""

    def dq(self, dS, k, scale):
        total = torch.zeros(*dS.shape[:-1], k.shape[-1], dtype=torch.bfloat16)
        for start in range(0, k.shape[2], 16):
            total += (
                (dS[..., start : start + 16] @ k[:, :, start : start + 16]) * scale
            ).bfloat16()
        return total.float()


class DbiasInBfloat16(Attention):
    """The bias gradient is summed over the batch in bfloat16."""

    def dbias(self, dS, bias):
        if bias.shape[0] != 1:
            return super().dbias(dS, bias)
        parts = [super(DbiasInBfloat16, self).dbias(one, bias).bfloat16() for one in dS.split(1)]
        return sum(parts).to(bias.dtype)


class LseRoundedForBackward(Attention):
    """The backward recomputes probabilities from a log-sum-exp in bfloat16."""

    def softmax(self, scores):
        lse = torch.logsumexp(scores, -1, keepdim=True)
        rounded = lse.bfloat16().float()
        self.off = torch.where(lse.isfinite(), torch.exp(lse - rounded), 1.0)
        return super().softmax(scores)

    def dscores(self, P, dP, D):
        off = self.off if self.off.shape[2] == P.shape[2] else 1.0
        return super().dscores(P * off, dP, D)


class EmptyRowsSpoilDq(Attention):
    """Rows without keys give NaN in dQ, though their output is zero."""

    def backward_keep(self, keep, call):
        self.empty = ~keep.any(-1, keepdim=True)
        return keep

    def dq(self, dS, k, scale):
        return super().dq(dS, k, scale).masked_fill(self.empty, torch.nan)


class DkSkipsDiagonalTile(Attention):
    """Under `is_causal` the backward starts one query tile of 64 too late, beyond the first tile."""

    def backward_keep(self, keep, call):
        if not call.is_causal or keep.shape[-1] <= 64:
            return keep
        i, j = torch.arange(keep.shape[-2])[:, None], torch.arange(keep.shape[-1])
        return keep & ~((j >= 64) & (i // 64 == j // 64))


class DropoutDrawnOnce(Attention):
    """The random numbers come from a generator that starts anew in each call."""

    def keep_mask(self, P, p):
        generator = torch.Generator().manual_seed(17)
        return (torch.rand(P.shape, generator=generator) >= p).float() / (1.0 - p)


class BackwardWithoutDropout(Attention):
    """Gradients are computed as if nothing had been dropped."""

    def backward_dropout(self, Z, p):
        return torch.ones_like(Z)


class DropoutForgetsCausal(Attention):
    """With dropout, the causal mask is not applied."""

    def allowed(self, Mq, Mkv, call: Call, device):
        if call.dropout_p:
            call = Call(call.allowed, False, call.scale, call.dropout_p)
        return super().allowed(Mq, Mkv, call, device)


class WorkspaceNotCleared(Attention):
    """dK is added to what the buffer held before, from the second call on."""

    def __init__(self):
        self.buffers = {}

    def dk(self, dS, q, scale):
        dk = super().dk(dS, q, scale)
        before = self.buffers.get(dk.shape)
        self.buffers[dk.shape] = dk.clone()
        return dk if before is None else dk + 2.0**-4 * before


class ExpandedValuesMisread(Attention):
    """Values with stride 0 over the batch are read at a stride that is not theirs."""

    def read(self, name, tensor):
        if name == "v" and tensor.shape[0] > 1 and tensor.stride(0) == 0:
            return tensor.roll(1, 2).float()
        return tensor.float()


class AutocastForgetsScale(Attention):
    """Under autocast q is taken to be scaled already."""

    def scale(self, q, given):
        return 1.0 if torch.is_autocast_enabled("cpu") else super().scale(q, given)


def fast_path_for_squares(
    query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, enable_gqa=False
):
    """Torch's own, but where Mq = Mkv any mask is taken for the causal one."""
    square = query.shape[2] == key.shape[2] and attn_mask is not None
    return scaled_dot_product_attention(
        query,
        key,
        value,
        None if square else attn_mask,
        dropout_p,
        is_causal or square,
        scale=scale,
        enable_gqa=enable_gqa,
    )
