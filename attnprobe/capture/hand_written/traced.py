"""Attention written by hand inside a compiled graph: two products and a softmax among the nodes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch

from attnprobe.capture.hand_written.operands import Operands, of_baddbmm, of_einsum, of_matmul
from attnprobe.capture.seen import Seen

_PRODUCTS: dict[str, Callable[[tuple[Any, ...], dict[str, Any]], Operands | None]] = {
    "matmul": of_matmul,
    "bmm": of_matmul,
    "baddbmm": of_baddbmm,
    "einsum": of_einsum,
}
_KEEPS = {
    *(
        "to",
        "float",
        "half",
        "bfloat16",
        "type_as",
        "type",
        "view",
        "reshape",
        "contiguous",
        "tanh",
    ),
    *("add", "iadd", "sub", "isub", "masked_fill", "masked_fill_", "where", "clamp", "dropout"),
    *("nan_to_num", "transpose", "unsqueeze", "squeeze", "flatten", "unflatten", "tril", "add_"),
}
_MASKS = {"add", "iadd", "add_", "masked_fill", "masked_fill_", "where", "sub", "isub"}
_SCALES = {"mul", "imul", "mul_", "truediv", "itruediv", "div", "div_"}


@dataclass(frozen=True)
class Part:
    """A part of a mask.

    Args:
        step: The operation that brings it.
        node: The tensor.
        inverted: Whether it forbids where it is true, or is subtracted.
    """

    step: str
    node: torch.fx.Node
    inverted: bool


@dataclass
class _Trail:
    """One product's result among the nodes."""

    operands: Operands
    node: torch.fx.Node
    scale: float
    steps: list[str] = field(default_factory=list)
    masked: list[Part] = field(default_factory=list)
    dropout_p: float = 0.0
    softmax: bool = False


@dataclass(frozen=True)
class Found:
    """Attention in a graph.

    Args:
        seen: Its tensors, as they were while tracing.
        node: The first product.
        steps: What lies between the products.
        masked: What forbids pairs or is added to them.
    """

    seen: Seen
    node: torch.fx.Node
    steps: tuple[str, ...]
    masked: tuple[Part, ...]


def found_in(graph: torch.fx.Graph) -> Iterator[Found]:
    """Every first product whose softmax a second product takes in."""
    trails: dict[torch.fx.Node, _Trail] = {}
    for node in graph.nodes:
        if node.op not in ("call_function", "call_method"):
            continue
        name = str(getattr(node.target, "__name__", node.target))
        sources = [trails[n] for n in node.all_input_nodes if n in trails]
        if name in _PRODUCTS:
            operands = _operands(_PRODUCTS[name], node)
            ended = next((trail for trail in sources if trail.softmax), None)
            if ended is not None and operands is not None:
                yield _found(ended, operands)
            elif operands is not None:
                trails[node] = _Trail(operands, node, operands.scale)
        elif sources:
            _follow(node, name, sources[0], trails)


def _operands(read: Any, node: torch.fx.Node) -> Operands | None:
    args, kwargs = torch.fx.node.map_arg(
        (node.args, node.kwargs), lambda n: n.meta.get("example_value")
    )
    found: Operands | None = read(args, kwargs)
    if found is None:
        return None
    tensors = (found.left, found.right)
    return found if all(isinstance(t, torch.Tensor) and t.dim() >= 2 for t in tensors) else None


def _follow(
    node: torch.fx.Node, name: str, trail: _Trail, trails: dict[torch.fx.Node, _Trail]
) -> None:
    """An operation on scores or probabilities; any that is not known ends the trail."""
    if name == "softmax":
        trail.softmax = True
    elif name in _SCALES:
        numbers = [a for a in node.args if isinstance(a, (int, float))]
        if numbers and not trail.softmax:
            trail.scale *= numbers[0] if "mul" in name else 1.0 / numbers[0]
    elif name == "dropout":
        given: dict[str, Any] = dict(zip(("input", "p", "training"), node.args, strict=False))
        given |= node.kwargs
        trail.dropout_p = float(given.get("p", 0.5)) if given.get("training", True) else 0.0
    elif name not in _KEEPS:
        return
    if name in _MASKS and not trail.softmax:
        trail.masked += _parts(node, name, trails)
    trail.steps.append(name)
    trails[node] = trail


def _found(trail: _Trail, second: Operands) -> Found:
    first = trail.operands
    q = first.queries(first.left, first.right)
    seen = Seen(
        q,
        first.keys(first.left, first.right),
        second.values(second.right),
        layout="BHMK" if q.dim() >= 4 else "BMK",
        dropout_p=trail.dropout_p,
        scale=trail.scale,
    )
    return Found(seen, trail.node, tuple(trail.steps), tuple(trail.masked))


def _parts(node: torch.fx.Node, name: str, trails: dict[torch.fx.Node, _Trail]) -> list[Part]:
    """The tensor that an operation brings to the scores; one value per row is no mask."""
    others = [n for n in node.all_input_nodes if n not in trails]
    if name == "where":
        return [Part(name, n, node.args[1] not in trails) for n in others if n is node.args[0]]
    inverted = name.startswith(("masked_fill", "sub", "isub"))
    return [Part(name, n, inverted) for n in others[:1] if _has_keys(n)]


def _has_keys(node: torch.fx.Node) -> bool:
    value = node.meta.get("example_value")
    return isinstance(value, torch.Tensor) and value.dim() > 0 and value.shape[-1] != 1
