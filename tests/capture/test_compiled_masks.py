"""Masks that a compiled graph makes for itself are made again from its inputs, and recognised."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import attnprobe
from attnprobe.core.capture import Call

M = 16


def only(attention: Callable[..., Tensor], *arguments: Tensor, dynamic: bool = False) -> Call:
    """The one call of a compiled function; its result is that of the function."""
    torch._dynamo.reset()
    q, k, v = (torch.randn(2, 4, M, 8) for _ in range(3))
    with attnprobe.capture() as seen:
        compiled = torch.compile(attention, backend="eager", fullgraph=True, dynamic=dynamic)
        out = compiled(q, k, v, *arguments)
    assert torch.equal(out, attention(q, k, v, *arguments))
    assert seen.capture.gaps == ()
    (call,) = seen.capture.calls
    assert call.compiled
    assert call.mask is not None
    return call


def scores(q: Tensor, k: Tensor) -> Tensor:
    return q @ k.transpose(-1, -2) / math.sqrt(8)


LOWER = torch.ones(32, 32).tril()


def by_buffer(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """NanoGPT's way: a slice of a buffer."""
    return scores(q, k).masked_fill(LOWER[:M, :M] == 0, -math.inf).softmax(-1) @ v


def by_comparison(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Positions compared, by where."""
    i = torch.arange(M)
    kept = i[None] <= i[:, None]
    return torch.where(kept, scores(q, k), torch.finfo(q.dtype).min).softmax(-1) @ v


def by_addition(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """A float mask."""
    mask = torch.full((M, M), -1e9).triu(1)
    return (scores(q, k) + mask).softmax(-1) @ v


def told(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """SDPA with a tensor that is made on the spot."""
    return F.scaled_dot_product_attention(q, k, v, attn_mask=torch.ones(M, M).tril() > 0)


@pytest.mark.parametrize("way", [by_buffer, by_comparison, by_addition, told])
@pytest.mark.parametrize("dynamic", [False, True])
def test_a_causal_mask_is_recognised(way: Callable[..., Tensor], dynamic: bool):
    """However the graph makes it."""
    call = only(way, dynamic=dynamic)
    assert call.mask is not None
    assert call.mask.mask is not None
    assert call.mask.mask.text == "causal(align=top-left)"


def padded(q: Tensor, k: Tensor, v: Tensor, lengths: Tensor, bias: Tensor) -> Tensor:
    """A bias, and padding of what the graph is given."""
    keys = torch.arange(M) < lengths[:, None]
    added = torch.zeros(2, 1, 1, M).masked_fill(~keys[:, None, None], -math.inf)
    return (scores(q, k) + bias + added).softmax(-1) @ v


def test_parts_of_a_mask_are_put_together():
    """Padding by an input of the graph, on top of a bias per head."""
    call = only(padded, torch.tensor([16, 5]), torch.randn(1, 4, M, M))
    assert call.mask is not None
    assert (call.mask.kind, call.mask.lengths) == ("key-padding", (16, 5))
    assert (call.mask.values, call.mask.values_dims) == ("dense", "1,H,M,N")


def random(q: Tensor, k: Tensor, v: Tensor, x: Tensor) -> Tensor:
    """A mask that no second run would give."""
    return scores(q, k).masked_fill(torch.rand_like(x) < 0.5, -1e9).softmax(-1) @ v


def written(q: Tensor, k: Tensor, v: Tensor, x: Tensor) -> Tensor:
    """A mask whose making writes to an input."""
    x.add_(1.0)
    return scores(q, k).masked_fill(x > 5, -math.inf).softmax(-1) @ v


def learned(q: Tensor, k: Tensor, v: Tensor, x: Tensor) -> Tensor:
    """A mask that a product makes."""
    return (scores(q, k) + x @ x.transpose(-1, -2)).softmax(-1) @ v


@pytest.mark.parametrize(
    ("way", "why"), [(written, "in place"), (learned, "a sum of two products")]
)
def test_what_may_not_run_again_is_not_run(way: Callable[..., Tensor], why: str):
    """The reason is in the record, and the inputs are as the function leaves them."""
    torch._dynamo.reset()
    q, k, v = (torch.randn(2, 4, M, 8) for _ in range(3))
    x = torch.zeros(M, M)
    with attnprobe.capture() as seen:
        torch.compile(way, backend="eager", fullgraph=True)(q, k, v, x)
    (call,) = seen.capture.calls
    assert x.sum() == (M * M if way is written else 0)
    if way is written:
        assert call.mask is not None
        assert why in call.mask.note


def test_random_numbers_are_not_drawn_twice():
    """A mask that is random is not made again: the generator stands where the function left it."""
    q, k, v, x = (torch.randn(2, 4, M, n) for n in (8, 8, 8, M))
    states = []
    for capturing in (False, True):
        torch._dynamo.reset()
        torch.manual_seed(0)
        compiled = torch.compile(random, backend="eager", fullgraph=True)
        if capturing:
            with attnprobe.capture() as seen:
                compiled(q, k, v, x)
        else:
            compiled(q, k, v, x)
        states.append(torch.get_rng_state())
    assert torch.equal(*states)
    assert all(call.mask is None or call.mask.kind == "unknown" for call in seen.capture.calls)
