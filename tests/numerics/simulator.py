"""A small tiled FlashAttention in torch, right by default, with bugs that can be planted."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from attnprobe.core.mask import Mask
from attnprobe.device.alibi import slopes
from attnprobe.device.inputs import Inputs, Outputs
from tests.numerics.right_backends import allowed, distance

TILE = 32
"""Queries and keys per tile."""

BUGS = (
    "causal-off-by-one",
    "other-alignment",
    "window-off-by-one",
    "padding-off-by-one",
    "finite-mask",
    "leak-at-tile-edge",
    "leak-of-one-pair",
    "last-tile-dropped",
    "scale-missing",
    "scale-of-padded-K",
    "scale-twice",
    "heads-interleaved",
    "heads-not-summed",
    "no-maximum",
    "no-rescale-last-tile",
    "stale-tile",
    "P-bfloat16",
    "S-bfloat16",
    "accumulator-bfloat16",
    "D-missing",
    "dq-tail-zero",
    "dv-gain",
    "out-gain",
    "lse-base-2",
    "lse-of-last-tile",
    "dbias-of-one-head",
    "dbias-scaled",
    "dropout-on",
    "value-column-stale",
    "softcap-slope-missing",
)


@dataclass
class Simulator:
    """Call it with inputs. `bug` plants one of BUGS; `error` multiplies out by 1 + error.

    S and accumulators are float32; P and dS are rounded to the inputs' dtype, as in FlashAttention-2.
    """

    bug: str = ""

    def __call__(self, inputs: Inputs) -> Outputs:
        case, dtype, bug = inputs.case, inputs.q.dtype, self.bug
        heads = torch.arange(case.Hq) // case.groups
        if bug == "heads-interleaved":
            heads = torch.arange(case.Hq) % case.Hkv
        q, k, v, g = (
            inputs.q.float(),
            inputs.k[:, heads].float(),
            inputs.v[:, heads].float(),
            inputs.dout.float(),
        )
        if bug == "value-column-stale":
            v[..., -1] = v[..., 0]
        S, slope = self._scores(inputs, q, k)
        out, lse = self._forward(S, v, dtype)
        P = torch.exp(S - lse[..., None]).nan_to_num(0.0)
        D = (g * out.to(dtype).float()).sum(-1, keepdim=True)
        D = torch.zeros_like(D) if bug == "D-missing" else D
        dP = g @ v.mT
        dS = P * (dP - D)
        U = dS if bug == "softcap-slope-missing" else dS * slope
        scale = self._scale(inputs)
        P16, U16 = P.to(dtype).float(), U.to(dtype).float()
        if bug == "accumulator-bfloat16":
            dq, dk, dv = self._low(P16, U16, q, k, g, scale)
        else:
            dq, dk, dv = scale * U16 @ k, scale * U16.mT @ q, P16.mT @ g
        dv = dv * (1 + 2.0**-6) if bug == "dv-gain" else dv
        if bug == "dq-tail-zero":
            dq[:, :, (case.Mq - 1) // TILE * TILE :] = 0
        out = out * (1 + 2.0**-6) if bug == "out-gain" else out
        lse = lse / torch.log(torch.tensor(2.0)) if bug == "lse-base-2" else lse
        dbias = self._dbias(inputs, dS.to(dtype).float())
        return Outputs(
            out.to(dtype),
            lse,
            dq.to(dtype),
            self._group(inputs, dk, heads).to(dtype),
            self._group(inputs, dv, heads).to(dtype),
            dbias,
        )

    def _scale(self, inputs: Inputs) -> float:
        match self.bug:
            case "scale-missing":
                return 1.0
            case "scale-of-padded-K":
                return float((inputs.case.K + 8) ** -0.5)
            case "scale-twice":
                return inputs.case.scale**2
        return inputs.case.scale

    def _keep(self, inputs: Inputs) -> Tensor:
        case, m = inputs.case, inputs.case.mask
        match self.bug:
            case "causal-off-by-one":
                case = case.edit(mask=Mask(m.left, (m.right or 0) + 1, m.align))
            case "other-alignment":
                other = "top-left" if m.align == "bottom-right" else "bottom-right"
                case = case.edit(mask=Mask(m.left, m.right, other))
            case "window-off-by-one" if m.left is not None:
                case = case.edit(mask=Mask(m.left + 1, m.right, m.align))
            case "padding-off-by-one" if case.lengths:
                kv = tuple(min(n + 1, case.Mkv) for n in case.lengths.kv)
                case = case.edit(lengths=replace(case.lengths, kv=kv))
        found = allowed(replace(inputs, case=case))
        full = (case.B, case.Hq, case.Mq, case.Mkv)
        keep = torch.ones(full, dtype=torch.bool) if found is None else found.expand(full).clone()
        edge = range(TILE - 1, case.Mq, TILE)
        rows = {"leak-at-tile-edge": [*edge], "leak-of-one-pair": [case.Mq // 2]}.get(self.bug, [])
        for row in rows:
            last = int(keep[0, 0, row].nonzero().max()) if bool(keep[0, 0, row].any()) else -1
            if last + 1 < case.Mkv:
                keep[: 1 if self.bug == "leak-of-one-pair" else None, 0, row, last + 1] = True
        if self.bug == "last-tile-dropped" and case.Mkv > TILE:
            keep[..., (case.Mkv - 1) // TILE * TILE :] = False
        return keep

    def _scores(self, inputs: Inputs, q: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
        case = inputs.case
        S, slope = self._scale(inputs) * (q @ k.mT), torch.ones(())
        if case.score.softcap is not None:
            t = torch.tanh(S / case.score.softcap)
            S, slope = t * case.score.softcap, 1 - t**2
        if case.score.alibi:
            S = S - slopes(case.Hq).float()[:, None, None] * distance(inputs)
        if inputs.bias is not None:
            S = S + inputs.bias.float() * (2.0 if self.bug == "dbias-scaled" else 1.0)
        S = S.bfloat16().float() if self.bug == "S-bfloat16" else S
        keep = self._keep(inputs)
        if self.bug == "dropout-on":
            g = torch.Generator().manual_seed(1)
            keep = keep & (torch.rand(keep.shape, generator=g) > 0.1)
        low = -1e4 if self.bug == "finite-mask" else -torch.inf
        return S.masked_fill(~keep, low), slope

    def _forward(self, S: Tensor, v: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        bug = self.bug
        top = S.new_full(S.shape[:3], -torch.inf)
        total = S.new_zeros(S.shape[:3])
        acc = v.new_zeros(*S.shape[:3], v.shape[-1])
        starts = range(0, S.shape[3], TILE)
        for n, a in enumerate(starts):
            s = S[..., a : a + TILE]
            higher = torch.maximum(top, s.amax(-1))
            base = higher.masked_fill(higher == -torch.inf, 0.0)
            shrink = torch.exp(top - base)
            if bug == "no-maximum":
                base, shrink = torch.zeros_like(base), torch.ones_like(shrink)
            p = torch.exp(s - base[..., None])
            p = p.bfloat16().float() if bug == "P-bfloat16" else p
            total = total * shrink + p.sum(-1)
            tile = v[:, :, a : a + TILE]
            if bug == "stale-tile" and n == 1:
                tile = tile.clone()
                tile[0, 0] = v[0, 0, : tile.shape[2]]
            if bug == "no-rescale-last-tile" and n == len(starts) - 1:
                shrink = torch.ones_like(shrink)
            acc = acc * shrink[..., None] + p.to(dtype).float() @ tile
            if bug == "accumulator-bfloat16":
                acc, total = acc.bfloat16().float(), total.bfloat16().float()
            top = base if bug == "no-maximum" else higher
        has = total > 0
        out = torch.where(has[..., None], acc / total.clamp_min(1e-37)[..., None], 0.0)
        base = top.masked_fill(top == -torch.inf, 0.0)
        lse = torch.where(has, base + total.log(), -torch.inf)
        if bug == "lse-of-last-tile":
            lse = torch.logsumexp(S[..., -TILE:], -1)
        return out, lse

    def _low(
        self, P: Tensor, U: Tensor, q: Tensor, k: Tensor, g: Tensor, scale: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        dq, dk, dv = torch.zeros_like(q), torch.zeros_like(k), torch.zeros(*k.shape[:3], g.shape[3])
        for a in range(0, P.shape[2], TILE):
            i = slice(a, a + TILE)
            dv = (dv + P[:, :, i].mT @ g[:, :, i]).bfloat16().float()
            dk = (dk + scale * U[:, :, i].mT @ q[:, :, i]).bfloat16().float()
        for a in range(0, P.shape[3], TILE):
            j = slice(a, a + TILE)
            dq = (dq + scale * U[..., j] @ k[:, :, j]).bfloat16().float()
        return dq, dk, dv

    def _group(self, inputs: Inputs, x: Tensor, heads: Tensor) -> Tensor:
        if self.bug == "heads-not-summed":
            return x[:, :: inputs.case.groups]
        found = torch.zeros(x.shape[0], inputs.case.Hkv, *x.shape[2:])
        return found.index_add_(1, heads, x)

    def _dbias(self, inputs: Inputs, dS: Tensor) -> Tensor | None:
        if inputs.bias is None:
            return None
        shape = inputs.bias.shape
        for dim in range(4):
            if shape[dim] == 1:
                one = self.bug == "dbias-of-one-head" and dim <= 1
                dS = dS.narrow(dim, 0, 1) if one else dS.sum(dim, keepdim=True)
        return dS.to(inputs.bias.dtype)
