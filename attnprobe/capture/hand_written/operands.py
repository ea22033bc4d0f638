"""Which operands of a matrix product are queries and keys, and how they lie."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch


class Operands(NamedTuple):
    """A product whose result may be scores (batch ..., M, N).

    Attributes:
        left: First operand as passed.
        right: Second operand as passed.
        queries: Makes of (left, right) the queries as (batch ..., M, K).
        keys: Makes of them the keys as (batch ..., N, K).
        values: Makes values as (batch ..., N, Kv) of the operand that is not the probabilities.
        scale: What the product itself multiplies its result with.
        added: What it adds to it; None for nothing.
    """

    left: Any
    right: Any
    queries: Callable[[Any, Any], Any]
    keys: Callable[[Any, Any], Any]
    values: Callable[[Any], Any]
    scale: float = 1.0
    added: Any = None

    @property
    def plausible(self) -> bool:
        """Two activations that can be queries and keys: no weight, more than one channel."""
        return (
            type(self.left) is torch.Tensor
            and type(self.right) is torch.Tensor
            and self.left.dim() >= 2
            and self.right.dim() >= 2
            and self.left.is_floating_point()
            and not self.left.is_nested
        )


def _left(left: Any, _right: Any) -> Any:
    return left


def _right_transposed(_left: Any, right: Any) -> Any:
    return right.transpose(-1, -2)


def _same(value: Any) -> Any:
    return value


def of_matmul(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Operands | None:
    """`matmul`, `bmm`, `@`: (..., M, K) and (..., K, N)."""
    given = (*args, *kwargs.values())
    if len(given) < 2:
        return None
    return Operands(given[0], given[1], _left, _right_transposed, _same)


def of_baddbmm(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Operands | None:
    """`baddbmm(input, batch1, batch2, beta, alpha)`; the input is added to alpha times the product."""
    names = ("input", "batch1", "batch2")
    given = dict(zip(names, args, strict=False)) | kwargs
    if not given.keys() >= {"batch1", "batch2"}:
        return None
    scale, beta = float(kwargs.get("alpha", 1.0)), kwargs.get("beta", 1.0)
    added = given.get("input") if beta else None
    return Operands(given["batch1"], given["batch2"], _left, _right_transposed, _same, scale, added)


def of_einsum(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Operands | None:
    """`einsum` of two operands, whatever the order of its letters."""
    operands = args[1] if len(args) == 2 and isinstance(args[1], (list, tuple)) else args[1:]
    if len(operands) != 2 or not isinstance(args[0], str):
        return None
    if any(not isinstance(operand, torch.Tensor) for operand in operands):
        return None
    letters = _letters(args[0], operands[0].dim(), operands[1].dim())
    if letters is None:
        return None
    left, right, out = letters
    summed = [letter for letter in left if letter in right and letter not in out]
    if len(summed) != 1 or len(out) < 2:
        return None
    channel, key = summed[0], out[-1]
    swapped = key in left
    of_q, of_k = (right, left) if swapped else (left, right)
    queries, keys = _to(of_q, out, out[-2], channel), _to(of_k, out, key, channel)
    values = _to(right, out, channel, out[-1])  # where this is the second product
    return Operands(
        operands[0],
        operands[1],
        lambda a, b: queries(b if swapped else a),
        lambda a, b: keys(a if swapped else b),
        values,
    )


def _letters(equation: str, left_dims: int, right_dims: int) -> tuple[str, str, str] | None:
    """The letters of both operands and of the result, an ellipsis written out as capital letters."""
    inputs, arrow, out = equation.replace(" ", "").partition("->")
    parts = inputs.split(",")
    if not arrow or len(parts) != 2:
        return None
    hidden = [dims - len(part.replace("...", "")) for part, dims in
              zip(parts, (left_dims, right_dims), strict=True)]  # fmt: skip
    left, right = (_without_dots(part, n) for part, n in zip(parts, hidden, strict=True))
    if len(set(left)) != len(left) or len(set(right)) != len(right):
        return None
    return left, right, _without_dots(out, max(hidden))


def _without_dots(term: str, dims: int) -> str:
    """The ellipsis stands for so many dims, counted from the right as broadcasting does."""
    return term.replace("...", "STUVWXYZ"[8 - dims :] if dims > 0 else "")


def _to(letters: str, out: str, token: str, channel: str) -> Callable[[Any], Any]:
    """A permutation of an operand to (batch ..., token, channel), batch in the order of the result."""
    batch = [x for x in out if x in letters and x not in (token, channel)]
    batch += [x for x in letters if x not in batch and x not in (token, channel)]
    order = [letters.find(x) for x in (*batch, token, channel)]

    def permuted(tensor: Any) -> Any:
        return tensor.permute(order) if -1 not in order else tensor

    return permuted
