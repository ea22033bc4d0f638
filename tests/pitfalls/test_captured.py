"""Mistakes in captured code: each is suspected of what it is, and the same call made right is not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention.bias import causal_lower_right

from attnprobe.capture.replay import workload
from attnprobe.core.capture import Capture
from attnprobe.diagnosis import suspicions
from attnprobe.diagnosis.subjects import subjects
from tests.capture.test_apis import captured
from tests.pitfalls.test_semantics import RULES
from tests.unit.fake_machine import MACHINE

B, H, M, K = 3, 4, 64, 16
X = torch.randn(B, H, M, K)
ROWS = torch.arange(M)
CAUSAL = ROWS[:, None] >= ROWS
BAND = CAUSAL & (ROWS[:, None] - ROWS < 8)
PREFIX = CAUSAL | (ROWS < 9)
IGNORED = torch.tensor([M, 40, 20])[:, None] <= ROWS
"""(B, M): padding of samples of 64, 40 and 20 tokens."""
LEFT = IGNORED.flip(1)
LAYER = nn.MultiheadAttention(H * K, H, batch_first=True)


def _sdpa(q: Tensor = X, **said: object) -> Tensor:
    return F.scaled_dot_product_attention(q, X, X, **said)  # type: ignore[arg-type]


def _layer(**said: object) -> Tensor:
    x = X.transpose(1, 2).flatten(2)
    return LAYER(x, x, x, attn_mask=~BAND, need_weights=False, **said)[0]  # type: ignore[no-any-return]


def _evaluated(dropout_p: float) -> Tensor:
    class Attention(nn.Module):
        def forward(self) -> Tensor:
            return _sdpa(dropout_p=dropout_p)

    return Attention().eval()()  # type: ignore[no-any-return]


def _numbers(forbidden: Tensor) -> Tensor:
    return torch.zeros(forbidden.shape).masked_fill(forbidden, torch.finfo(torch.float32).min)


MISTAKES: dict[str, tuple[Callable[[], Tensor], Callable[[], Tensor]]] = {
    "causal-topleft-vs-bottomright": (
        lambda: _sdpa(X[:, :, -9:], is_causal=True),
        lambda: _sdpa(X[:, :, -9:], attn_mask=causal_lower_right(9, M)),
    ),
    "decode-is-causal-lq1": (
        lambda: _sdpa(X[:, :, -1:], is_causal=True),
        lambda: _sdpa(X[:, :, -1:]),
    ),
    "causal-bias-object-stale": (
        lambda: _sdpa(X[:, :, -9:], attn_mask=causal_lower_right(M, M)),
        lambda: _sdpa(X[:, :, -9:], attn_mask=causal_lower_right(9, M)),
    ),
    "mask-and-causal-both": (
        lambda: _sdpa(attn_mask=PREFIX, is_causal=True),
        lambda: _sdpa(attn_mask=PREFIX),
    ),
    "bool-mask-polarity": (
        lambda: _sdpa(attn_mask=IGNORED[:, None, None]),
        lambda: _sdpa(attn_mask=~IGNORED[:, None, None]),
    ),
    "bool-mask-polarity, causal": (
        lambda: _sdpa(attn_mask=~CAUSAL),
        lambda: _sdpa(attn_mask=CAUSAL),
    ),
    "float01-mask-as-additive": (
        lambda: _sdpa(attn_mask=(~IGNORED[:, None, None]).float()),
        lambda: _sdpa(attn_mask=~IGNORED[:, None, None]),
    ),
    "mha-is-causal-hint-drops-mask": (lambda: _layer(is_causal=True), lambda: _layer()),
    "layout-bmhk-vs-bhmk": (
        lambda: F.scaled_dot_product_attention(*[torch.randn(2, 512, 4, K)] * 3),
        lambda: F.scaled_dot_product_attention(*[torch.randn(2, 4, 512, K)] * 3),
    ),
    "sdpa-dropout-in-eval": (lambda: _evaluated(0.1), lambda: _evaluated(0.0)),
    "mask-finfo-min-sum": (
        lambda: _sdpa(attn_mask=_numbers(LEFT[:, None, None]) + _numbers(~CAUSAL)),
        lambda: _sdpa(attn_mask=~LEFT[:, None, None] & CAUSAL),
    ),
}


def _suspected(script: Callable[[], Tensor]) -> list[str]:
    found = workload(Capture(script="x.py", calls=captured(script, 1).calls)).on("cpu")
    return [s.name for s in suspicions(subjects(found, found.calls), "cpu", MACHINE, RULES)]


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_suspected_where_it_is_made(mistake: str) -> None:
    """By the rule of its name, and by no other."""
    wrong, right = MISTAKES[mistake]
    assert _suspected(wrong) == [mistake.partition(",")[0]]
    assert _suspected(right) == []
