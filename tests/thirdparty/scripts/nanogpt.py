"""A small GPT with attention written out, as teaching code has it: `nanogpt.py [einsum] [compiled]`."""

import math
import sys

import torch
from torch import nn
from torch.nn import functional as F

EINSUM, COMPILED = "einsum" in sys.argv, "compiled" in sys.argv


class CausalSelfAttention(nn.Module):
    """softmax(QK^T)V, dropout on the weights."""

    def __init__(self, width: int, heads: int, longest: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.dropout = nn.Dropout(0.1)
        ones = torch.ones(longest, longest)
        self.register_buffer("mask", torch.tril(ones).view(1, 1, longest, longest))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        B, T, C = x.shape
        q, k, v = (
            part.view(B, T, self.heads, C // self.heads).transpose(1, 2)
            for part in self.qkv(x).split(C, dim=2)
        )
        if EINSUM:
            scores = torch.einsum("bhik,bhjk->bhij", q, k) / math.sqrt(k.size(-1))
        else:
            scores = (q @ k.transpose(-2, -1)) * (1.0 / math.sqrt(k.size(-1)))
        scores = scores.masked_fill(self.mask[:, :, :T, :T] == 0, float("-inf"))
        weights = self.dropout(F.softmax(scores, dim=-1))
        y = torch.einsum("bhij,bhjk->bhik", weights, v) if EINSUM else weights @ v
        return self.out(y.transpose(1, 2).contiguous().view(B, T, C))


class Block(nn.Module):
    """Attention, then two linear layers."""

    def __init__(self, width: int, heads: int, longest: int) -> None:
        super().__init__()
        self.norm, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = CausalSelfAttention(width, heads, longest)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attention(self.norm(x))
        return x + self.mlp(self.norm2(x))


class GPT(nn.Module):
    """Two blocks."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens, self.places = nn.Embedding(64, 64), nn.Embedding(48, 64)
        self.blocks = nn.Sequential(*(Block(64, 4, 48) for _ in range(2)))
        self.head = nn.Linear(64, 64)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.head(self.blocks(self.tokens(ids) + self.places(torch.arange(ids.shape[1]))))


torch.manual_seed(0)
model = GPT()
run = torch.compile(model) if COMPILED else model
optimizer = torch.optim.AdamW(model.parameters())
for _ in range(3):
    ids = torch.randint(0, 64, (2, 33))
    loss = F.cross_entropy(run(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten())
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
print(loss.item())
