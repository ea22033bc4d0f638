"""Case + seed -> tensors in the case's memory layout. The same recipe gives the same bits everywhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, partial

import torch
from torch import Tensor

from attnprobe.core import cost
from attnprobe.core.case import Case
from attnprobe.device import memory

ON_DEVICE_ABOVE = 2**28
"""Elements beyond which tensors are drawn on the device itself: 2^28 normal numbers take about two
seconds on one CPU core and one more to copy. Such a case is repeatable on one kind of device only."""


@dataclass(frozen=True)
class Inputs:
    """The tensors of one case, canonical: (Bc, H, T, K) views of memory laid out as `case.layout` says.

    Args:
        case: The recipe.
        q: (Bc, Hq, Tq, K).
        k: (Bc, Hkv, Tkv, K).
        v: (Bc, Hkv, Tkv, Kv).
        dout: (Bc, Hq, Tq, Kv): the gradient that flows back into the output; zero in rows that belong
            to no sequence, as in a training step, where no loss looks at padding.
        bias: `case.bias_shape`, or None.
        drawn_on: `cpu`: the same bits on every machine; else the device whose generator was used.
        mask_memory: How a caller of SDPA hands over a dense mask: the tensor that a lowering made, of
            four dimensions, to the same values in other memory or in fewer dimensions.
    """

    case: Case
    q: Tensor
    k: Tensor
    v: Tensor
    dout: Tensor
    bias: Tensor | None = None
    drawn_on: str = "cpu"
    mask_memory: Callable[[Tensor], Tensor] | None = None

    @property
    def device(self) -> torch.device:
        """Where the tensors are."""
        return self.q.device

    @property
    def dtype(self) -> torch.dtype:
        """What q, k and v are made of."""
        return self.q.dtype

    @cached_property
    def demand(self) -> cost.Demand:
        """What the call needs at least, its pairs counted once."""
        return cost.demand(self.case, partial(torch.arange, device=self.device))

    def to(self, device: str) -> Inputs:
        """The same values, lying in memory alike, on another device; itself where they are there."""
        if self.device.type == torch.device(device).type:
            return self
        bias = None if self.bias is None else memory.elsewhere(self.bias, device)
        q, k, v, dout = (memory.elsewhere(t, device) for t in (self.q, self.k, self.v, self.dout))
        case = self.case.edit(device=device)
        return replace(self, case=case, q=q, k=k, v=v, dout=dout, bias=bias)


@dataclass(frozen=True)
class Outputs:
    """What a backend returned, canonical; None for what was not asked or not given.

    Args:
        out: (Bc, Hq, Tq, Kv).
        lse: (Bc, Hq, Tq), natural log, float32.
        dq: Gradient of q, shaped like q; likewise dk, dv, dbias.
    """

    out: Tensor
    lse: Tensor | None = None
    dq: Tensor | None = None
    dk: Tensor | None = None
    dv: Tensor | None = None
    dbias: Tensor | None = None

    def to(self, device: torch.device) -> Outputs:
        """The same numbers on another device; what is there is not copied."""
        return Outputs(
            self.out.to(device),
            *(
                None if t is None else t.to(device)
                for t in (self.lse, self.dq, self.dk, self.dv, self.dbias)
            ),
        )


@dataclass
class _Draw:
    """What a family may change before the tensors are rounded: float32, canonical."""

    case: Case
    q: Tensor
    k: Tensor
    v: Tensor
    generator: torch.Generator

    def normal(self, shape: torch.Size | tuple[int, ...]) -> Tensor:
        return torch.randn(shape, generator=self.generator, device=self.generator.device)

    def uniform(self, shape: torch.Size | tuple[int, ...]) -> Tensor:
        return torch.rand(shape, generator=self.generator, device=self.generator.device)

    def k_of_each_query(self) -> Tensor:
        """K repeated to Hq heads."""
        return self.k.repeat_interleave(self.case.groups, 1)


def _uniform(draw: _Draw) -> None:
    """[0, 1): the mean key is not zero, which exposes an error in rowsum(dO * O) through dQ."""
    draw.q, draw.k, draw.v = (draw.uniform(t.shape) for t in (draw.q, draw.k, draw.v))


def _large_logits(draw: _Draw) -> None:
    """Logits of standard deviation 36 at the usual scale: exposes a missing max-subtraction."""
    draw.q, draw.k = draw.q * 6, draw.k * 6


def _very_negative_lse(draw: _Draw) -> None:
    """Every logit far below zero: exposes a running maximum that starts at 0, and a base-2 mix-up."""
    draw.q, draw.k = draw.q.abs() + 3, -(draw.k.abs() + 3)


def _outlier_channels(draw: _Draw) -> None:
    """One key channel with an offset, and one element in a hundred ten times as large.

    Source: FlashAttention-3 (arXiv:2407.08608), section 4.3, tests N(0,1) + N(0,100) Bernoulli(0.001).
    """
    for name in ("q", "k", "v"):
        t = getattr(draw, name)
        spikes = (draw.uniform(t.shape) < 0.01) * draw.normal(t.shape) * 10
        setattr(draw, name, t + spikes)
    draw.k[..., 0] += 4


def _constant_keys(draw: _Draw) -> None:
    """All keys equal: attention is the mean of the attended values, and dQ is exactly zero in truth."""
    draw.k = draw.k[:, :, :1].expand_as(draw.k).clone()


def _one_hot(draw: _Draw) -> None:
    """Each query points at one key: nearly all the weight is on it, so a wrong key is a gross error."""
    Bc, Hq, Tq, K = draw.q.shape
    keys = draw.k_of_each_query()
    if not keys.shape[2]:
        return
    chosen = (draw.uniform((Bc, Hq, Tq)) * keys.shape[2]).long()
    picked = torch.gather(keys, 2, chosen[..., None].expand(-1, -1, -1, K))
    draw.q = 6 * picked / max(1.0, K**0.5 / 4)


def _cancelling(draw: _Draw) -> None:
    """Values of +50 and -50 in turn, whose weighted sum nearly vanishes: exposes rounding of P."""
    sign = torch.ones(draw.v.shape[2], device=draw.v.device)
    sign[1::2] = -1
    draw.v = sign[:, None] * (50 + 0.1 * draw.v)
    draw.q = draw.q * 0.3


def _rising(draw: _Draw) -> None:
    """Each key outweighs those before it: a running maximum that grows with every tile.

    Logits rise by 1.5 per key at the usual scale, hence by more than float32's exponent range, 88, from
    one tile of 64 keys to the next: what was summed before must be scaled down, not kept or dropped.
    """
    K, keys = draw.q.shape[3], torch.arange(draw.k.shape[2], device=draw.k.device)
    draw.q[..., 0] = 1.5 * K**0.5 / 4
    draw.k[..., 0] = 4.0 * keys


FAMILIES: dict[str, Callable[[_Draw], None]] = {
    "normal": lambda draw: None,
    "uniform": _uniform,
    "large-logits": _large_logits,
    "very-negative-lse": _very_negative_lse,
    "outlier-channels": _outlier_channels,
    "constant-keys": _constant_keys,
    "one-hot": _one_hot,
    "cancelling": _cancelling,
    "rising": _rising,
}


def make(case: Case) -> Inputs:
    """Draws the tensors of a case.

    They are drawn on the CPU, so that every device sees the same bits, and then moved; beyond
    `ON_DEVICE_ABOVE` elements on the device itself, which `Inputs.drawn_on` says.

    Raises:
        ValueError: An unknown family or memory layout, or a layout that this case cannot have.
    """
    if case.family not in FAMILIES:
        raise ValueError(f"unknown input family {case.family!r}; known: {', '.join(FAMILIES)}")
    shapes = (case.q_shape, case.k_shape, case.v_shape, case.out_shape)
    huge = sum(torch.Size(shape).numel() for shape in shapes) > ON_DEVICE_ABOVE
    device = case.device if huge else "cpu"
    generator = torch.Generator(device).manual_seed(case.seed)

    def normal(shape: tuple[int, ...]) -> Tensor:
        return torch.randn(shape, generator=generator, device=device)

    q, k, v = (normal(shape) for shape in shapes[:3])
    draw = _Draw(case, q, k, v, generator)
    dout = normal(shapes[3]) * _belongs(case, device)
    FAMILIES[case.family](draw)
    dtype = getattr(torch, case.dtype)
    q, k, v = memory.lay_out(
        case.layout, *(t.to(dtype).to(case.device) for t in (draw.q, draw.k, draw.v))
    )
    return Inputs(
        case=case,
        q=q,
        k=k,
        v=v,
        dout=memory.like_out(case.layout, dout.to(dtype).to(case.device)),
        bias=drawn_bias(case, normal),
        drawn_on=device,
    )


def own(inputs: Inputs) -> Inputs:
    """The same values in memory that may be written to; strides are kept where they are dense."""
    bias = None if inputs.bias is None else inputs.bias.clone()
    return replace(inputs, q=inputs.q.clone(), k=inputs.k.clone(), v=inputs.v.clone(), bias=bias)


def _belongs(case: Case, device: str) -> Tensor:
    """(Bc, 1, Tq, 1) 1 where a row belongs to a sequence, else 0."""
    rows = torch.zeros(case.q_shape[0], 1, case.q_shape[2], 1, device=device)
    for s in case.sequences:
        rows[s.batch, :, s.q_start : s.q_start + s.Mq] = 1
    return rows


def drawn_bias(case: Case, normal: Callable[[tuple[int, ...]], Tensor]) -> Tensor | None:
    """The added tensor of a case, made of what `normal` draws; None where there is none."""
    shape, bias = case.bias_shape, case.score.bias
    if shape is None or bias is None:
        return None
    drawn = normal(shape)
    if bias.forbids:
        drawn = torch.zeros_like(drawn).masked_fill(drawn < 0, -torch.inf)
        drawn[..., 0] = 0.0
    return drawn.to(getattr(torch, bias.dtype or case.dtype)).to(case.device)
