"""Attention written by hand is found by what it does, not by how it is spelled."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F

import attnprobe
from attnprobe.core.capture import Call, Capture

CAUSAL = torch.ones(32, 32, dtype=torch.bool).tril()


def qkv(M: int = 32, N: int = 32, grad: bool = False) -> tuple[torch.Tensor, ...]:
    return tuple(torch.randn(2, 4, n, 16, requires_grad=grad) for n in (M, N, N))


def captured(attention: Callable[[], object], times: int = 3, timing: bool = False) -> Capture:
    with attnprobe.capture(timing=timing) as seen:
        for _ in range(times):
            attention()
    assert seen.capture.gaps == ()
    return seen.capture


def only(attention: Callable[[], object], times: int = 3) -> Call:
    (call,) = captured(attention, times).calls
    assert (call.api, call.count) == ("hand-written", times)
    return call


def matmul() -> None:
    q, k, v = qkv(grad=True)
    scores = (q @ k.transpose(-1, -2) / math.sqrt(16)).masked_fill(~CAUSAL, -math.inf)
    (F.dropout(F.softmax(scores, dim=-1), 0.1) @ v).sum().backward()


def einsum() -> None:
    q, k, v = qkv()
    p = torch.einsum("bhid,bhjd->bhij", q, k).mul(0.25).softmax(-1)
    torch.einsum("bhij,bhjd->bhid", p, v)


def einsum_heads_last() -> None:
    q, k, v = (t.transpose(1, 2) for t in qkv(M=8))
    p = torch.softmax(torch.einsum("bihd,bjhd->bhij", q, k) * 0.25, dim=-1)
    torch.einsum("bhij,bjhd->bihd", p, v)


def einsum_dots() -> None:
    q, k, v = qkv()
    p = torch.einsum("... i d, ... j d -> ... i j", q, k).softmax(-1)
    torch.einsum("... i j, ... j d -> ... i d", p, v)


def baddbmm() -> None:
    q, k, v = (t.flatten(0, 1) for t in qkv())
    slopes = -torch.arange(32.0) * torch.tensor([2.0**-n for n in range(8)])[:, None, None]
    scores = slopes.baddbmm(batch1=q, batch2=k.transpose(1, 2), beta=1.0, alpha=0.25)
    torch.bmm(F.softmax(scores, dim=-1, dtype=torch.float32), v)


def softmax_by_hand() -> None:
    q, k, v = qkv()
    scores = torch.matmul(q, k.mT) / 4
    e = (scores - scores.amax(-1, keepdim=True)).exp()
    (e / e.sum(-1, keepdim=True)).matmul(v)


def two_dims() -> None:
    q, k, v = torch.randn(3, 6, 8)
    torch.softmax(q @ k.T / 8**0.5, dim=-1) @ v


@pytest.mark.parametrize(
    ("attention", "q", "k"),
    [
        (matmul, (2, 4, 32, 16), (2, 4, 32, 16)),
        (einsum, (2, 4, 32, 16), (2, 4, 32, 16)),
        (einsum_heads_last, (2, 4, 8, 16), (2, 4, 32, 16)),
        (einsum_dots, (2, 4, 32, 16), (2, 4, 32, 16)),
        (baddbmm, (8, 32, 16), (8, 32, 16)),
        (softmax_by_hand, (2, 4, 32, 16), (2, 4, 32, 16)),
        (two_dims, (6, 8), (6, 8)),
    ],
)
def test_every_spelling_is_one_call(
    attention: Callable[[], None], q: tuple[int, ...], k: tuple[int, ...]
):
    """Three runs are three calls at one place; shapes are those of queries and keys."""
    call = only(attention)
    assert (call.q.shape, call.k.shape, call.v.shape) == (q, k, k)
    assert call.where.startswith("tests/capture/test_hand_written.py:")
    assert call.function == attention.__name__


def test_what_lies_between_the_products_is_told():
    """Scale, mask, dropout, the softmax's dtype, and gradients."""
    call = only(matmul)
    assert (call.scale, call.dropout_p, call.backward) == (0.25, 0.1, 3)
    assert call.q.requires_grad
    assert call.mask is not None
    assert call.mask.mask is not None
    assert (call.mask.form, call.mask.mask.text) == ("bool", "causal(align=top-left)")
    assert call.steps[:3] == ("div", "masked_fill", "_softmax")
    assert call.softmax_dtype == "float32"


def test_heads_that_lie_last_show_in_the_strides():
    """The record is in the order B, H, M, K; the memory's order is told by the strides."""
    assert only(einsum_heads_last).q.stride[1:] == (128, 16, 1)


def test_a_soft_cap_is_no_second_scale():
    """Gemma's `50 * tanh(x / 50)` after the scale, then a float mask of -1e9."""

    def attention() -> None:
        q, k, v = qkv()
        scores = torch.tanh(torch.matmul(q, k.mT) * 0.25 / 50.0) * 50.0
        scores = scores + torch.full((32, 32), -1e9).triu(1)
        torch.matmul(torch.softmax(scores, -1), v)

    call = only(attention)
    assert (call.scale, call.softcap) == (0.25, 50.0)
    assert call.mask is not None
    assert (call.mask.kind, call.mask.form) == ("causal", "float32")


def test_a_bias_in_baddbmm_is_a_mask_with_values():
    """BLOOM adds ALiBi this way."""
    call = only(baddbmm)
    assert call.scale == 0.25
    assert call.mask is not None
    assert (call.mask.kind, call.mask.values) == ("all-true", "alibi")


def test_masks_of_several_parts_are_read_off_the_scores():
    """Causal by `where`, padding by `masked_fill`: one mask with both."""
    keep = torch.arange(32) < torch.tensor([[20], [32]])

    def attention() -> None:
        q, k, v = qkv()
        scores = torch.where(CAUSAL, q @ k.mT * 0.25, torch.finfo(torch.float32).min)
        scores = scores.masked_fill(~keep[:, None, None], -1e9)
        torch.softmax(scores, -1) @ v

    call = only(attention)
    assert call.mask is not None
    assert (call.mask.kind, call.mask.lengths) == ("causal", (20, 32))
    assert call.notes == ("the mask is made of 2 parts: selected, filled",)


def test_one_function_that_is_used_in_two_ways_makes_two_calls():
    """Self attention is causal, cross attention is not; both by the same line, as in Whisper."""

    def attend(q: torch.Tensor, k: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        scores = torch.matmul(q, k.mT)
        if mask is not None:
            scores = scores.masked_fill(~mask, -math.inf)
        return torch.matmul(scores.softmax(-1), k)

    def layer() -> None:
        x, memory, _ = qkv()
        x = attend(x, x, CAUSAL)
        x = attend(x, memory, None)
        attend(x, x, CAUSAL)

    calls = {call.mask.kind if call.mask else "": call.count for call in captured(layer, 2).calls}
    assert calls == {"causal": 4, "": 2}


def test_scores_may_be_a_sum_of_two_products():
    """Relative positions as in Transformer-XL: the keys are those of the first operand of the sum."""

    def attention() -> None:
        q, k, v = qkv()
        position = torch.randn(4, 16, 32)
        scores = torch.matmul(q, k.mT) + torch.matmul(q, position)
        torch.softmax(scores / 4, -1) @ v

    call = next(c for c in captured(attention).calls if c.k.shape == (2, 4, 32, 16))
    assert call.count == 3
    assert "scores are the sum of two products" in call.notes


def test_products_without_a_softmax_are_none():
    """An MLP, a rotary table, attention-like products with a relu between."""

    def network() -> None:
        a = torch.randn(2, 8, 8)
        (a @ a).relu() @ a
        torch.randn(2, 4, 1) @ torch.randn(2, 1, 8)
        torch.softmax(a, -1) @ a

    assert captured(network, 6).calls == ()


def test_autocast_makes_another_call():
    """The same line in float32 and under autocast: two records."""

    def attention() -> None:
        matmul()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            matmul()

    calls = captured(attention).calls
    assert sorted((call.autocast, call.count) for call in calls) == [("", 3), ("bfloat16", 3)]


def test_many_calls_are_counted_without_a_look_at_each():
    """Fifty calls; the windows that looked are the powers of two and their next at most."""
    call = only(matmul, 50)
    assert call.backward == 50
    assert call.mask is not None
    assert call.mask.times <= 11


def test_forward_and_backward_are_timed():
    """Those calls that nobody looked at."""
    (call,) = captured(matmul, 12, timing=True).calls
    assert call.forward is not None
    assert call.backward_times is not None
    assert call.forward.timed == call.backward_times.timed > 3
    assert 1e-5 < call.forward.each_s < 1e-1


def test_a_mode_that_is_entered_between_and_left_after_is_no_trouble():
    """The window below it waits until it can be left."""
    from torch.utils.flop_counter import FlopCounterMode

    def attention() -> None:
        q, k, v = qkv()
        scores = q @ k.mT
        with FlopCounterMode(display=False):
            p = scores.softmax(-1)
            p @ v
        torch.ones(2, 2) @ torch.ones(2, 2)

    captured(attention)
    assert torch._C._len_torch_dispatch_stack() == 0


def test_an_exception_between_the_products_leaves_nothing_behind():
    """The window is left at the next product, or at the end."""

    def attention() -> None:
        q, k, _ = qkv()
        q @ k.mT
        raise KeyError

    with pytest.raises(KeyError), attnprobe.capture():
        attention()
    assert torch._C._len_torch_dispatch_stack() == 0


def test_everything_is_as_before_afterwards():
    """Functions and methods are the originals again."""
    before = torch.matmul, torch.Tensor.__matmul__, F.scaled_dot_product_attention, torch.einsum
    with attnprobe.capture():
        assert torch.matmul is not before[0]
    after = torch.matmul, torch.Tensor.__matmul__, F.scaled_dot_product_attention, torch.einsum
    assert after == before


def test_parts_of_a_mask_are_one_mask():
    """Bloom's way: ALiBi goes into the product, heads in the batch; padding and causality come after."""
    q, k, v = (torch.randn(8, 32, 16) for _ in range(3))
    slopes = torch.tensor([0.5, 0.25, 0.125, 0.0625])
    alibi = (slopes[:, None, None] * torch.arange(32.0)).repeat(2, 1, 1)
    seen = CAUSAL & (torch.arange(32) < torch.tensor([32, 20])[:, None])[:, None, None]
    mask = torch.zeros(2, 1, 32, 32).masked_fill(~seen, torch.finfo(torch.float32).min)

    def attention() -> None:
        scores = alibi.baddbmm(q, k.transpose(1, 2), alpha=0.25).view(2, 4, 32, 32) + mask
        scores.softmax(-1).view(8, 32, 32) @ v

    found = only(attention).mask
    assert found is not None
    assert (found.kind, found.lengths) == ("causal", (32, 20))
    assert (found.values, found.values_dims) == ("alibi", "1,H,1,N")
    assert found.slopes == pytest.approx((0.5, 0.25, 0.125, 0.0625))
