"""The operators that stand for CUTLASS's on the CPU: right where they run, and as choosy as CUTLASS."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from attnprobe.device.habits import _xformers

xformers = pytest.importorskip("xformers.ops")


def tensors(Hkv: int = 4, Mkv: int = 24) -> tuple[Tensor, Tensor, Tensor]:
    """q, k and v, (2, H, M, 8), leaves."""
    generator = torch.Generator().manual_seed(0)
    shapes = ((2, 4, 16, 8), (2, Hkv, Mkv, 8), (2, Hkv, Mkv, 8))
    q, k, v = (torch.randn(s, generator=generator).requires_grad_() for s in shapes)
    return q, k, v


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"is_causal": True},
        {"scale": 0.5},
        {"attn_mask": torch.linspace(-1, 1, 24).expand(1, 1, 16, 24)},
        {"attn_mask": torch.arange(24).expand(1, 1, 16, 24) < 20},
    ],
    ids=["plain", "causal", "scale", "bias", "boolean"],
)
def test_output_and_gradients_are_those_of_sdpa(said: dict[str, Any]) -> None:
    """What a habit's control computes on the CPU is attention."""
    leaves = tensors()
    out, expected = (
        _xformers.well_formed(*leaves, **said),
        scaled_dot_product_attention(*leaves, **said),
    )
    torch.testing.assert_close(out, expected)
    dout = torch.randn_like(out)
    found, truth = (torch.autograd.grad(o, leaves, dout) for o in (out, expected))
    torch.testing.assert_close(found, truth)


def test_heads_are_repeated() -> None:
    """Grouped heads reach xFormers as whole ones, in SDPA's order."""
    leaves = tensors(Hkv=2)
    out = _xformers.well_formed(*leaves, enable_gqa=True)
    torch.testing.assert_close(out, scaled_dot_product_attention(*leaves, enable_gqa=True))


def test_rows_that_cutlass_cannot_load_are_refused() -> None:
    """The reason is xFormers' own."""
    q, k, v = _xformers.rows(*tensors(Mkv=23))
    with pytest.raises(ValueError, match=r"attn_bias.stride\(-2\) % 4 != 0"):
        _xformers.attend(q, k, v, torch.zeros(2, 4, 16, 23))


def test_dropout_is_refused_not_left_out() -> None:
    """No generator of CUTLASS's is imitated."""
    q, k, v = _xformers.rows(*tensors())
    with pytest.raises(ValueError, match="dropout"):
        _xformers.attend(q, k, v, dropout_p=0.5)


def test_autocast_does_not_reach_the_operator() -> None:
    """As it does not reach xFormers' kernels."""
    q, k, v = (t.detach().bfloat16() for t in tensors())
    expected = _xformers.well_formed(q, k, v)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(_xformers.well_formed(q, k, v), expected)
