"""A small GPT: pre-normalised blocks of causal attention and SwiGLU, learned positions.

Sources: GPT-2's block order (Radford et al. 2019, section 2.3) with SwiGLU (Shazeer,
arXiv:2002.05202, section 2) in place of its perceptron, as current language models have it.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

Attention = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(B, H, M, K) queries, keys and values to (B, H, M, K), causal."""


class Packed(nn.Module):
    """SwiGLU, gate and up in one matmul.

    Args:
        width: Size of x's last dimension.
        hidden: Size of the gate's.
    """

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.gate_and_up = nn.Linear(width, 2 * hidden, bias=False)
        self.down = nn.Linear(hidden, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """down(silu(gate(x)) * up(x))."""
        gate, up = self.gate_and_up(x).chunk(2, -1)
        y: Tensor = self.down(functional.silu(gate) * up)
        return y


class Separate(nn.Module):
    """SwiGLU as three matmuls.

    Args:
        width: Size of x's last dimension.
        hidden: Size of the gate's.
    """

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.gate = nn.Linear(width, hidden, bias=False)
        self.up = nn.Linear(width, hidden, bias=False)
        self.down = nn.Linear(hidden, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """down(silu(gate(x)) * up(x))."""
        y: Tensor = self.down(functional.silu(self.gate(x)) * self.up(x))
        return y


FeedForward = Callable[[int, int], nn.Module]


class Gpt(nn.Module):
    """Tokens (B, M) to logits (B, M, vocabulary).

    Args:
        heads: Attention heads.
        K: Head dim; the model is heads * K wide.
        M: Longest sequence.
        vocabulary: Tokens.
        layers: Blocks.
        feed_forward: `Packed` or `Separate`.
    """

    def __init__(
        self,
        heads: int,
        K: int,
        M: int,
        vocabulary: int,
        layers: int = 3,
        feed_forward: FeedForward = Packed,
    ) -> None:
        super().__init__()
        width = heads * K
        self.tokens = nn.Embedding(vocabulary, width)
        self.positions = nn.Embedding(M, width)
        self.blocks = nn.ModuleList(Block(heads, width, feed_forward) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, vocabulary, bias=False)

    def forward(self, tokens: Tensor, attention: Attention) -> Tensor:
        """Logits with the attention given."""
        x = self.tokens(tokens) + self.positions.weight[: tokens.shape[1]]
        for block in self.blocks:
            x = block(x, attention)
        logits: Tensor = self.head(self.norm(x))
        return logits


class Block(nn.Module):
    """x + attention(norm(x)), then x + SwiGLU(norm(x)).

    Args:
        heads: Attention heads.
        width: Size of x's last dimension.
        feed_forward: Makes the second half.
    """

    def __init__(self, heads: int, width: int, feed_forward: FeedForward) -> None:
        super().__init__()
        self.heads = heads
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.feed_forward = feed_forward(width, 2 * width)

    def forward(self, x: Tensor, attention: Attention) -> Tensor:
        """One block."""
        B, M, width = x.shape
        qkv = self.qkv(self.first(x)).view(B, M, 3, self.heads, -1)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        attended = attention(q, k, v).transpose(1, 2).reshape(B, M, width)
        x = x + self.out(attended)
        y: Tensor = x + self.feed_forward(self.second(x))
        return y


def built(heads: int, K: int, M: int, vocabulary: int, seed: int, device: str) -> Gpt:
    """A model with the same first weights on every device."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Gpt(heads, K, M, vocabulary).to(device)
