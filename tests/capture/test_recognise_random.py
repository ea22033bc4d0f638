"""1,000 random masks: what is said of a mask reproduces it, and what has a word is given it."""

from __future__ import annotations

import random
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from attnprobe.capture.recognise import Recogniser
from attnprobe.core.capture import CapturedMask
from attnprobe.core.mask import Align, Mask
from attnprobe.masks.block_diagonal import block_diagonal
from attnprobe.masks.causal import causal
from attnprobe.masks.chunked import chunked
from attnprobe.masks.dilated import dilated
from attnprobe.masks.none import none
from attnprobe.masks.prefix_lm import prefix_lm
from attnprobe.masks.sinks import sinks
from attnprobe.masks.sliding_window import sliding_window
from tests.capture.rebuilt import rebuilt

FORBIDDING = {
    torch.float32: (-torch.inf, -1e4, -1e9, torch.finfo(torch.float32).min),
    torch.float64: (-torch.inf, -1e4, -1e9, torch.finfo(torch.float64).min),
    torch.bfloat16: (-torch.inf, -1e4, -1e9, torch.finfo(torch.bfloat16).min),
    torch.float16: (-torch.inf, -1e4, torch.finfo(torch.float16).min),
}


@dataclass
class Drawn:
    """A mask, the pairs that it allows in full, and whether its structure has a word."""

    tensor: Tensor
    allowed: Tensor
    Mq: int
    Mkv: int
    has_word: bool
    added: Tensor | None = None


def family(rng: random.Random) -> Mask:
    align: Align = rng.choice(("top-left", "bottom-right"))
    size = rng.randint(1, 6)
    return rng.choice(
        (
            none,
            lambda: causal(align),
            lambda: sliding_window(rng.randint(0, 6), 0, align),
            lambda: sliding_window(rng.randint(0, 6), rng.randint(0, 6), align),
            lambda: sliding_window(None, rng.randint(-2, 6), align),
            lambda: sliding_window(rng.randint(-2, 6), None, align),
            lambda: prefix_lm(rng.randint(0, 9), align),
            lambda: block_diagonal(size, align),
            lambda: chunked(size, align),
            lambda: dilated(size, align),
            lambda: causal(align) & dilated(size, align),
            lambda: sliding_window(2 * size, 0, align) & dilated(size, align),
            lambda: sinks(rng.randint(0, 4), rng.randint(0, 4), align),
        )
    )()


def pairs(mask: Mask, Mq: int, Mkv: int) -> Tensor:
    return mask.allows(torch.arange(Mq)[:, None], torch.arange(Mkv)[None], Mq, Mkv) & torch.ones(
        Mq, Mkv, dtype=torch.bool
    )


def planes(rng: random.Random, mask: Mask, B: int, Mq: int, Mkv: int) -> Tensor:
    """(B, Mq, Mkv) of one mask: whole, padded on a side, or in documents."""
    full = torch.zeros(B, Mq, Mkv, dtype=torch.bool)
    how = rng.choice(("whole", "right", "left", "queries", "documents"))
    gaps = any(p.name in ("dilated", "sinks") for p in mask.predicates)
    if how == "whole" or gaps:
        return pairs(mask, Mq, Mkv).expand(B, -1, -1).clone()
    if how == "documents":
        mask = rng.choice((none(), causal("top-left"), sliding_window(2, 0, "top-left")))
    for plane in full:
        kv = rng.randint(0, Mkv)
        if how == "right":
            plane[:, :kv] = pairs(mask, Mq, kv)
        elif how == "left":
            plane[:, Mkv - kv :] = pairs(mask, Mq, kv)
        elif how == "queries":
            q = min(kv, Mq)
            plane[:q, :kv] = pairs(mask, q, kv)
        else:
            start = 0
            while start < min(Mq, Mkv):
                size = min(rng.randint(1, 6), Mq - start, Mkv - start)
                plane[start : start + size, start : start + size] = pairs(mask, size, size)
                start += size
    return full


def draw(seed: int) -> Drawn:
    """A mask of any kind, dtype, rank and broadcast, some of them with one element flipped."""
    rng = random.Random(seed)
    generator = torch.Generator().manual_seed(seed)
    B, H = rng.randint(1, 4), rng.randint(1, 3)
    Mq = rng.choice((1, rng.randint(1, 24), rng.randint(1, 24)))
    Mkv = rng.choice((Mq, rng.randint(1, 24)))
    flipped, noise = rng.random() < 0.3, rng.random() < 0.05
    mask = family(rng)
    full = planes(rng, mask, B, Mq, Mkv)
    odd = Mq > Mkv and any(p.name == "sinks" for p in mask.predicates)  # sinks without a gap
    if noise:
        full = torch.rand(B, Mq, Mkv, generator=generator) < 0.5
    if flipped:
        full[rng.randrange(B), rng.randrange(Mq), rng.randrange(Mkv)] ^= True
    narrow = full[:, None]
    if bool((narrow == narrow[:1]).all()) and rng.random() < 0.7:
        narrow = narrow[:1]
    if bool((narrow == narrow[:, :, :1]).all()) and rng.random() < 0.7:
        narrow = narrow[:, :, :1]
    if bool((narrow == narrow[..., :1]).all()) and rng.random() < 0.7:
        narrow = narrow[..., :1]
    tensor, added = narrow, None
    if rng.random() < 0.6:
        dtype = rng.choice(tuple(FORBIDDING))
        heads = rng.choice((1, H))
        added = torch.zeros(1, 1, 1, 1, dtype=dtype)
        if rng.random() < 0.5:
            shape = [rng.choice((1, n)) for n in (B, heads, Mq, Mkv)]
            added = (3 * torch.randn(shape, generator=generator)).to(dtype)
        value = rng.choice(FORBIDDING[dtype])
        tensor = torch.where(narrow, added, torch.tensor(value, dtype=dtype))
    if rng.random() < 0.4:
        tensor = tensor.expand(B, H, Mq, Mkv)
    elif tensor.shape[0] == 1 and rng.random() < 0.5:
        tensor = tensor[0]
        if tensor.shape[0] == 1 and rng.random() < 0.5:
            tensor = tensor[0]
    if rng.random() < 0.2:
        tensor = tensor.transpose(-1, -2).contiguous().transpose(-1, -2)
    return Drawn(tensor, full, Mq, Mkv, not (flipped or noise or odd), added)


def look(drawn: Drawn) -> CapturedMask:
    return Recogniser()(drawn.tensor, drawn.Mq, drawn.Mkv).read()


@pytest.mark.parametrize("first", range(0, 1000, 100))
def test_what_is_said_reproduces_every_element(first: int):
    """A mask that is named is rebuilt from its name; one with structure is named."""
    for seed in range(first, first + 100):
        drawn = draw(seed)
        said = look(drawn)
        B = drawn.allowed.shape[0]
        masked = 1 - drawn.allowed.double().mean().item()
        assert said.fraction_masked == pytest.approx(masked, abs=1e-12), seed
        if said.kind in ("arbitrary", "mixed"):
            assert not drawn.has_word, (seed, said)
            continue
        if said.holes:
            kept = drawn.allowed.any(1, keepdim=True)
            again = rebuilt(said, B, drawn.Mq, drawn.Mkv, whole=True) & kept
        else:
            again = rebuilt(said, B, drawn.Mq, drawn.Mkv)
        assert torch.equal(again, drawn.allowed), (seed, said)


def with_values(seed: int) -> tuple[Tensor, Tensor]:
    """A float mask with values of some kind, (B, H, M, N), and the pairs that it allows."""
    rng, generator = random.Random(seed), torch.Generator().manual_seed(seed)
    B, H, Mq, Mkv = (rng.randint(1, n) for n in (3, 4, 12, 12))
    Mkv = rng.choice((Mq, Mkv))
    i, j = torch.arange(Mq)[:, None], torch.arange(Mkv)[None]
    slopes = 2.0 ** -torch.arange(1.0, H + 1)[:, None, None]
    table = torch.randn(H, Mq + Mkv, generator=generator)
    values = rng.choice(
        (
            lambda: torch.randn([rng.choice((1, n)) for n in (B, H, Mq, Mkv)], generator=generator),
            lambda: -slopes * (i - j).abs(),
            lambda: slopes * j.float(),
            lambda: -slopes * (i + Mkv - Mq - j).abs(),
            lambda: table[:, j - i + Mq],
            lambda: torch.full((1, 1), rng.choice((0.0, 0.0, 2.5))),
        )
    )()
    dtype = rng.choice((torch.float32, torch.float64, torch.bfloat16))
    allowed = planes(rng, family(rng), B, Mq, Mkv)[:, None].expand(B, H, Mq, Mkv)
    full = values.to(dtype).expand(B, H, Mq, Mkv).clone()
    if rng.random() < 0.2:
        full[rng.randrange(B), rng.randrange(H), rng.randrange(Mq), rng.randrange(Mkv)] += 1.0
    return full.masked_fill(~allowed, rng.choice(FORBIDDING[dtype])), allowed


def same_along(values: Tensor, allowed: Tensor, dim: int) -> bool:
    """Whether all allowed values along a dim are the same."""
    most = values.masked_fill(~allowed, -torch.inf).amax(dim, keepdim=True)
    return bool(((values == most) | ~allowed).all())


def by_distance(values: Tensor, allowed: Tensor) -> bool:
    """Whether allowed values of a plane with the same j - i are the same."""
    Mq, Mkv = values.shape[2:]
    return all(
        len(set(plane.diagonal(d)[seen.diagonal(d)].tolist())) < 2
        for plane, seen in zip(values.flatten(0, 1), allowed.flatten(0, 1), strict=True)
        for d in range(1 - Mq, Mkv)
    )


def sloped(values: Tensor, allowed: Tensor, said: CapturedMask) -> bool:
    """Whether allowed values fall by the slopes that were said, up to a shift per row."""
    _B, _H, Mq, Mkv = values.shape
    i, j = torch.arange(Mq)[:, None], torch.arange(Mkv)[None]
    slopes = torch.tensor(said.slopes, dtype=torch.float64)[:, None, None]
    tolerance = 4 * torch.finfo(values.dtype).eps * max(1.0, float(values[allowed].abs().max()))
    shapes = (slopes * j, -slopes * (i - j).abs(), -slopes * (i + Mkv - Mq - j).abs())
    rest = [values.double() - shape for shape in shapes]
    spread = (
        x.masked_fill(~allowed, -torch.inf).amax(-1) - x.masked_fill(~allowed, torch.inf).amin(-1)
        for x in rest
    )
    return any(bool((s <= tolerance).all()) for s in spread)


@pytest.mark.parametrize("first", range(0, 1000, 250))
def test_what_is_said_of_values_is_true(first: int):
    """Nothing, a slope, a function of the distance, dims along which they differ: 1,000 float masks."""
    for seed in range(first, first + 250):
        mask, allowed = with_values(seed)
        said = Recogniser()(mask, *mask.shape[2:]).read()
        assert said.fraction_masked == pytest.approx(1 - allowed.double().mean().item()), seed
        if not bool(allowed.any()):
            continue
        if said.values == "":
            assert len(mask[allowed].unique()) == 1, seed
            continue
        differ = [not same_along(mask, allowed, dim) for dim in range(4)]
        letters = ",".join(n if d else "1" for n, d in zip("BHMN", differ, strict=True))
        assert said.values_dims == letters, (seed, said)
        if said.values == "relative":
            assert by_distance(mask, allowed), (seed, said)
        if said.values == "alibi":
            assert sloped(mask, allowed, said), (seed, said)
