"""Projections, attention over sequences of unequal lengths, output projection: a base of layers."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn.functional import linear

from attnprobe.core.case import Case, Lengths, Pass
from attnprobe.device.modules.base import Layer, Tensors, by_pass, width


class AttentionLayer(Layer):
    """q, k, v = projections of tokens; out = w_o attention(q, k, v) + b_o.

    Args:
        cross: Keys and values come from tokens of their own (`memory`).
        bias: Projections have biases.
    """

    def __init__(self, cross: bool = False, bias: bool = True) -> None:
        self.cross, self.bias = cross, bias

    @abstractmethod
    def lengths(self, case: Case) -> Lengths:
        """Real tokens of each sequence that is attended, queries and keys."""

    def attention(self, case: Case) -> Case:
        """The attention call within the layer, on packed rows."""
        found = self.lengths(case)
        return case.edit(
            module="",
            B=len(found.q),
            Mq=max(found.q),
            Mkv=max(found.kv),
            lengths=Lengths(found.q, found.kv, "packed"),
        )

    def shapes(self, case: Case) -> dict[str, tuple[int, ...]]:
        """`x`, `memory` where it is cross attention, four weights, and their biases."""
        D, lengths = width(case), self.lengths(case)
        memory = {"memory": (sum(lengths.kv), D)} if self.cross else {}
        weights = {f"w_{each}": (D, D) for each in "qkvo"}
        biases = {f"b_{each}": (D,) for each in "qkvo"} if self.bias else {}
        return {"x": (sum(lengths.q), D), **memory, **weights, **biases}

    def out_shape(self, case: Case) -> tuple[int, ...]:
        """(T, D)."""
        return (sum(self.lengths(case).q), width(case))

    def leaf_names(self) -> tuple[str, ...]:
        """Weights joined as nn.MultiheadAttention's are: what projects the same tokens is one matmul."""
        joined = ("q", "k+v") if self.cross else ("q+k+v",)
        kinds = "wb" if self.bias else "w"

        def spelled(kind: str, letters: str) -> str:
            return "+".join(f"{kind}_{letter}" for letter in letters.split("+"))

        tokens = ("x", "memory") if self.cross else ("x",)
        return (*tokens, *(spelled(kind, group) for group in (*joined, "o") for kind in kinds))

    def projected(self, leaves: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        """q, k and v, heads still side by side, of leaves named as `leaf_names` has them."""
        x = leaves["x"]
        if not self.cross:
            packed = linear(x, leaves["w_q+w_k+w_v"], leaves.get("b_q+b_k+b_v"))
            return packed.chunk(3, -1)
        q = linear(x, leaves["w_q"], leaves.get("b_q"))
        kv = linear(leaves["memory"], leaves["w_k+w_v"], leaves.get("b_k+b_v"))
        return (q, *kv.chunk(2, -1))

    def compute(self, case: Case, tensors: Tensors) -> Tensor:
        """Three projections, softmax(QK^T)V sequence by sequence, and the output projection."""
        keys = tensors.get("memory", tensors["x"])
        sources = {"q": tensors["x"], "k": keys, "v": keys}
        q, k, v = (
            heads_of(case, linear(tokens, tensors[f"w_{n}"], tensors.get(f"b_{n}")))
            for n, tokens in sources.items()
        )
        pieces, order = [], []
        for q_rows, kv_rows in _alike(self.attention(case), str(q.device)):
            Mq, Mkv = q_rows.shape[1], kv_rows.shape[1]
            scores = torch.einsum("bihk,bjhk->bhij", q[q_rows], k[kv_rows]) * case.scale
            i, j = torch.arange(Mq, device=q.device), torch.arange(Mkv, device=q.device)
            allowed = case.mask.allows(i[:, None], j, Mq, Mkv)
            weights = scores.masked_fill(~allowed, -torch.inf).softmax(-1)
            pieces.append(torch.einsum("bhij,bjhk->bihk", weights, v[kv_rows]).flatten(0, 1))
            order.append(q_rows.flatten())
        rows = torch.cat(pieces)[torch.cat(order).argsort()]
        return linear(rows.flatten(1), tensors["w_o"], tensors.get("b_o"))

    def flops(self, case: Case) -> dict[Pass, int]:
        """Queries and outputs are projected for Mq tokens, keys and values for Mkv, all D to D."""
        lengths = self.lengths(case)
        matmul = 4 * (sum(lengths.q) + sum(lengths.kv)) * width(case) ** 2
        return by_pass(matmul, self.attention(case))

    def activations(self, case: Case) -> int:
        """Projections, and three score matrices of each sequence."""
        lengths = self.lengths(case)
        tokens = 2 * sum(lengths.q) + 2 * sum(lengths.kv)
        scores = 3 * case.Hq * sum(a * b for a, b in zip(lengths.q, lengths.kv, strict=True))
        return tokens * width(case) + scores

    def problems(self, case: Case) -> tuple[str, ...]:
        """No mask or a causal one, which only sequences of as many queries as keys have."""
        found = super().problems(case)
        if not case.mask.is_none and not case.mask.is_causal:
            found += (f"the layer {case.module} attends everything or is causal: {case.mask.text}",)
        if case.mask.is_causal and self.cross:
            found += ("cross attention is not causal",)
        return found


def heads_of(case: Case, tokens: Tensor) -> Tensor:
    """(..., D) as (..., H, K); nested tensors too."""
    apart: Tensor = tokens.unflatten(-1, (case.Hq, case.K))  # type: ignore[no-untyped-call]  # torch's
    return apart


@lru_cache(maxsize=4)
def _alike(attention: Case, device: str) -> tuple[tuple[Tensor, Tensor], ...]:
    """Rows of queries and of keys, (sequences, Mq) and (sequences, Mkv), equal lengths together."""
    groups: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for s in attention.sequences:
        groups.setdefault((s.Mq, s.Mkv), []).append((s.q_start, s.kv_start))
    found = []
    for (Mq, Mkv), starts in groups.items():
        q, kv = torch.tensor(starts, device=device).T
        q_rows = q[:, None] + torch.arange(Mq, device=device)
        found.append((q_rows, kv[:, None] + torch.arange(Mkv, device=device)))
    return tuple(found)
