"""Attention as fused kernels do it: tiles, online softmax, a backward that recomputes from the lse.

`Flash()` has the contract of `tests.mutation.base.Attention`, and its steps are those of a tiled kernel,
so that a bug in one step is one overridden method. Rows and keys are done by tile, heads at once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class Grid:
    """What every program of the grid sees.

    Args:
        q, k, v: (B, H, M, K) in float32, key heads expanded to query heads.
        bias: Added to the scores, float32, of four dimensions.
        allowed: A boolean mask of four dimensions.
        is_causal: Top-left causal.
        scale: Softmax scale.
        dropout_p: Dropout's rate.
        seed: What dropout draws from.
        Hkv: Key heads before they were expanded.
        dtype: Of q, k, v as stored.
    """

    q: Tensor
    k: Tensor
    v: Tensor
    bias: Tensor | None
    allowed: Tensor | None
    is_causal: bool
    scale: float
    dropout_p: float
    seed: int
    Hkv: int
    dtype: torch.dtype

    @property
    def Mq(self) -> int:  # noqa: N802 - the vocabulary of the project
        """Queries."""
        return self.q.shape[2]

    @property
    def Mkv(self) -> int:  # noqa: N802 - as above
        """Keys."""
        return self.k.shape[2]


class Flash:
    """Right attention by tiles; every step may be overridden."""

    rows = 64
    keys = 64

    def __call__(
        self, query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None,
        enable_gqa=False,
    ):  # fmt: skip
        """Scaled dot product attention."""
        if query.shape[1] != key.shape[1] and not enable_gqa:
            raise ValueError("query and key differ in heads; pass enable_gqa=True")
        boolean = attn_mask is not None and attn_mask.dtype == torch.bool
        return self.Function.apply(
            query, key, value, None if boolean else attn_mask, attn_mask if boolean else None, self,
            (is_causal, scale, dropout_p),
        )  # fmt: skip

    # Arguments ----------------------------------------------------------------------------------

    def read(self, name: str, tensor: Tensor) -> Tensor:
        """Loads q, k, v or dout."""
        return tensor.float()

    def expand(self, tensor: Tensor, Hq: int) -> Tensor:
        """Key heads as query heads see them."""
        return tensor.repeat_interleave(Hq // tensor.shape[1], 1)

    def pairs(self, tensor: Tensor | None, g: Grid) -> Tensor | None:
        """A mask or bias with four dimensions, all of (.., Mq, Mkv)."""
        if tensor is None:
            return None
        tensor = tensor.float() if tensor.is_floating_point() else tensor
        return tensor[(None,) * (4 - tensor.ndim)].expand(-1, -1, g.Mq, g.Mkv)

    def grid(self, query, key, value, bias, allowed, options, seed) -> Grid:
        """The grid of a call."""
        is_causal, scale, dropout_p = options
        q, Hq = self.read("q", query), query.shape[1]
        k, v = (self.expand(self.read(n, t), Hq) for n, t in (("k", key), ("v", value)))
        scale = query.shape[-1] ** -0.5 if scale is None else scale
        g = Grid(q, k, v, None, None, is_causal, scale, dropout_p, seed, key.shape[1], query.dtype)
        return replace(g, bias=self.pairs(bias, g), allowed=self.pairs(allowed, g))

    # Forward ------------------------------------------------------------------------------------

    def forward(self, g: Grid) -> tuple[Tensor, Tensor]:
        """Output (float32) and log-sum-exp, row tile by row tile."""
        tiles = [self.row_tile(g, i) for i in range(0, g.Mq, self.rows)]
        return torch.cat([out for out, _ in tiles], 2), torch.cat([lse for _, lse in tiles], 2)

    def row_tile(self, g: Grid, i: int) -> tuple[Tensor, Tensor]:
        """One program: the rows from i on."""
        q = g.q[:, :, i : i + self.rows]
        state = (
            q.new_full((*q.shape[:3], 1), -torch.inf),
            q.new_zeros(*q.shape[:3], 1),
            q.new_zeros(*q.shape[:3], g.v.shape[-1]),
        )
        for j in self.visited(g, i):
            state = self.step(g, i, j, self.tile_scores(g, i, j), *state)
        return self.finish(*state)

    def visited(self, g: Grid, i: int) -> range:
        """Where the key tiles begin that these rows look at."""
        end = min(g.Mkv, i + self.rows) if g.is_causal else g.Mkv
        return range(0, end, self.keys)

    def tile_scores(self, g: Grid, i: int, j: int) -> Tensor:
        """Masked scores of a tile."""
        s = (g.q[:, :, i : i + self.rows] @ g.k[:, :, j : j + self.keys].mT) * g.scale
        if g.bias is not None:
            s = s + self.tile(g.bias, i, j)
        return s.masked_fill(~self.tile_keep(g, i, j, s), -torch.inf)

    def tile(self, x: Tensor, i: int, j: int) -> Tensor:
        """The part of a bias or a mask."""
        return x[:, :, i : i + self.rows, j : j + self.keys]

    def tile_keep(self, g: Grid, i: int, j: int, s: Tensor) -> Tensor:
        """Which pairs of a tile may attend."""
        keep = torch.ones(s.shape[-2:], dtype=torch.bool)
        if g.is_causal:
            rows, keys = torch.arange(s.shape[-2])[:, None] + i, torch.arange(s.shape[-1]) + j
            keep = keys <= rows
        return keep if g.allowed is None else keep & self.tile(g.allowed, i, j)

    def step(self, g: Grid, i: int, j: int, s: Tensor, top, total, acc):
        """The online softmax takes in one tile."""
        new = self.maximum(s, top)
        safe = new.masked_fill(new == -torch.inf, 0.0)
        w, decay = torch.exp(s - safe), torch.exp(top - safe)
        drawn = w if not g.dropout_p else w * self.drawn(g, i, j, w)
        v = g.v[:, :, j : j + self.keys]
        return new, total * decay + w.sum(-1, keepdim=True), acc * decay + drawn @ v

    def maximum(self, s: Tensor, top: Tensor) -> Tensor:
        """The running maximum of each row."""
        return torch.maximum(top, s.amax(-1, keepdim=True))

    def finish(self, top, total, acc):
        """Output and log-sum-exp of a row tile."""
        empty = total == 0.0
        return acc / total.masked_fill(empty, 1.0), (top + torch.log(total))

    def drawn(self, g: Grid, i: int, j: int, w: Tensor) -> Tensor:
        """Dropout's factors of a tile, 0 or 1/(1-p), from the seed and its place."""
        generator = torch.Generator().manual_seed(self.place(g, i, j))
        return (torch.rand(w.shape, generator=generator) >= g.dropout_p).float() / (1 - g.dropout_p)

    def place(self, g: Grid, i: int, j: int) -> int:
        """The seed of a tile."""
        return g.seed + 65_537 * i + j

    def write(self, name: str, tensor: Tensor, dtype: torch.dtype) -> Tensor:
        """Rounds a result (out, dq, dk, dv) to the storage dtype."""
        return tensor.to(dtype)

    # Backward -----------------------------------------------------------------------------------

    def backward(self, g: Grid, out: Tensor, lse: Tensor, dout: Tensor):
        """dq, dk, dv per query head and dS (B, H, Mq, Mkv), key tile by key tile."""
        D = self.delta(g, out, dout)
        dq, dk, dv = torch.zeros_like(g.q), torch.zeros_like(g.k), torch.zeros_like(g.v)
        dS = None if g.bias is None else g.q.new_zeros(*g.q.shape[:2], g.Mq, g.Mkv)
        for j in self.key_order(g):
            for i in self.visitors(g, j):
                R, C = slice(i, i + self.rows), slice(j, j + self.keys)
                p = self.weights(self.backward_scores(g, i, j), lse[:, :, R])
                z = self.backward_drawn(g, i, j, p) if g.dropout_p else 1.0
                dv[:, :, C] = self.add(g, dv[:, :, C], (p * z).mT @ dout[:, :, R])
                dp = (dout[:, :, R] @ g.v[:, :, C].mT) * z
                ds = self.dscores(g, p, dp, D[:, :, R])
                dq[:, :, R] += self.dq_tile(g, ds, i, j)
                dk[:, :, C] = self.add(g, dk[:, :, C], self.dk_tile(g, ds, i, j, p))
                if dS is not None:
                    dS[:, :, R, C] = ds
        return dq, dk, dv, dS

    def key_order(self, g: Grid):
        """In which order key tiles are done."""
        return range(0, g.Mkv, self.keys)

    def visitors(self, g: Grid, j: int) -> range:
        """Where the row tiles begin that look at these keys."""
        return range(j // self.rows * self.rows if g.is_causal else 0, g.Mq, self.rows)

    def delta(self, g: Grid, out: Tensor, dout: Tensor) -> Tensor:
        """D = rowsum(dO * O)."""
        return (dout * out).sum(-1, keepdim=True)

    def backward_scores(self, g: Grid, i: int, j: int) -> Tensor:
        """Masked scores once more."""
        return self.tile_scores(g, i, j)

    def weights(self, s: Tensor, lse: Tensor) -> Tensor:
        """Probabilities from the log-sum-exp."""
        return torch.exp(s - lse.masked_fill(lse == -torch.inf, 0.0))

    def backward_drawn(self, g: Grid, i: int, j: int, p: Tensor) -> Tensor:
        """Dropout's factors of a tile once more."""
        return self.drawn(g, i, j, p)

    def dscores(self, g: Grid, p: Tensor, dp: Tensor, D: Tensor) -> Tensor:
        """Gradient of the scores of a tile."""
        return p * (dp - D)

    def dq_tile(self, g: Grid, ds: Tensor, i: int, j: int) -> Tensor:
        """What one key tile adds to dq."""
        return (ds @ g.k[:, :, j : j + self.keys]) * g.scale

    def dk_tile(self, g: Grid, ds: Tensor, i: int, j: int, p: Tensor) -> Tensor:
        """What one row tile adds to dk."""
        return (ds.mT @ g.q[:, :, i : i + self.rows]) * g.scale

    def add(self, g: Grid, total: Tensor, part: Tensor) -> Tensor:
        """Accumulates dk or dv."""
        return total + part

    def group(self, name: str, gradient: Tensor, Hkv: int, dtype: torch.dtype) -> Tensor:
        """Sums the query heads of each key head."""
        B, Hq, M, K = gradient.shape
        return gradient.view(B, Hkv, Hq // Hkv, M, K).sum(2)

    def dbias(self, g: Grid, dS: Tensor, bias: Tensor) -> Tensor:
        """Gradient of the bias, summed over what it broadcasts."""
        return dS.sum_to_size(bias.shape).to(bias.dtype)

    class Function(torch.autograd.Function):
        """Ties the steps to autograd; what backward needs is recomputed."""

        @staticmethod
        def forward(ctx, query, key, value, bias, allowed, a, options):
            seed = int(torch.randint(2**31, ())) if options[2] else 0
            out, lse = a.forward(a.grid(query, key, value, bias, allowed, options, seed))
            ctx.save_for_backward(query, key, value, bias, allowed, out, lse)
            ctx.rest = a, options, seed
            return a.write("out", out, query.dtype)

        @staticmethod
        def backward(ctx, dout):
            query, key, value, bias, allowed, out, lse = ctx.saved_tensors
            a, options, seed = ctx.rest
            g = a.grid(query, key, value, bias, allowed, options, seed)
            dq, dk, dv, dS = a.backward(g, out, lse, a.read("dout", dout))
            dk, dv = (a.group(n, x, g.Hkv, g.dtype) for n, x in (("dk", dk), ("dv", dv)))
            wanted = bias is not None and ctx.needs_input_grad[3]
            return (
                a.write("dq", dq, query.dtype),
                a.write("dk", dk, key.dtype),
                a.write("dv", dv, value.dtype),
                a.dbias(g, dS, bias) if wanted else None,
                None,
                None,
                None,
            )
