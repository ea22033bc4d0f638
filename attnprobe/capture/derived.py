"""Tensors of a compiled graph, made again from its inputs: masks, which the graph computes for itself.

A mask hangs on few of a graph's nodes: an input or a buffer, a comparison, an index. These are put into
a small graph of their own. What would be costly, random or seen by the script is refused.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch

from attnprobe.capture.facts import hint

_LARGEST = 2**24
"""Elements that any tensor on the way may have."""

_COSTLY = {"matmul", "mm", "bmm", "baddbmm", "addmm", "einsum", "linear", "softmax", "__matmul__"}
_RANDOM = {
    "rand",
    "randn",
    "randint",
    "rand_like",
    "randn_like",
    "dropout",
    "bernoulli",
    "randperm",
}
_FRESH = {"zeros_like", "ones_like", "full_like", "zeros", "ones", "full", "clone"}
_IN_PLACE = {"setitem", "iadd", "isub", "imul", "itruediv", "iand", "ior", "ixor"}


class Underivable(Exception):
    """A tensor cannot be made again; the text says why."""


def derive(
    gm: torch.fx.GraphModule, nodes: Iterable[torch.fx.Node]
) -> Callable[..., tuple[Any, ...]]:
    """A function of a graph's inputs that gives the values of some of its nodes.

    Args:
        gm: The graph; it is left as it is.
        nodes: Nodes of it.

    Raises:
        Underivable: They hang on a node that may not run again.
    """
    wanted = tuple(nodes)
    needed = _needed(wanted, _written_to(gm.graph))
    graph = torch.fx.Graph()
    copies: dict[torch.fx.Node, torch.fx.Node] = {}
    for node in gm.graph.nodes:
        if node.op == "placeholder" or node in needed:
            copies[node] = graph.node_copy(node, copies.__getitem__)
    graph.output(tuple(copies[node] for node in wanted))
    made: Callable[..., tuple[Any, ...]] = torch.fx.GraphModule(gm, graph)
    return made


def _written_to(graph: torch.fx.Graph) -> set[torch.fx.Node]:
    """Nodes whose memory another writes to: its first argument, and what that may be a view of."""
    found = set[torch.fx.Node]()
    for node in graph.nodes:
        if not _writes(node) or _fills_its_own(node):
            continue
        source = node.args[0] if node.args else None
        while isinstance(source, torch.fx.Node) and source not in found:
            found.add(source)
            fresh = _name(source) in _COSTLY  # a product has memory of its own
            source = source.args[0] if source.args and not fresh else None
    return found


def _writes(node: torch.fx.Node) -> bool:
    name = _name(node)
    return name in _IN_PLACE or (name.endswith("_") and not name.endswith("__"))


def _fills_its_own(node: torch.fx.Node) -> bool:
    """Whether it writes to a tensor that was made for it alone: made and filled again, it is equal."""
    source = node.args[0] if node.args else None
    if not isinstance(source, torch.fx.Node) or not _writes(node):
        return False
    return _name(source) in _FRESH and len(source.users) == 1


def _name(node: torch.fx.Node) -> str:
    """What a node calls; empty for inputs and constants."""
    if node.op not in ("call_function", "call_method", "call_module"):
        return ""
    return str(getattr(node.target, "__name__", node.target))


def _needed(
    wanted: tuple[torch.fx.Node, ...], written_to: set[torch.fx.Node]
) -> set[torch.fx.Node]:
    """All nodes that some hang on.

    Raises:
        Underivable: One of them may not run again.
    """
    needed, left = set[torch.fx.Node](), list(wanted)
    while left:
        node = left.pop()
        if node in needed:
            continue
        if (_writes(node) and not _fills_its_own(node)) or node in written_to:
            raise Underivable(f"it hangs on {node.name}, which is written to in place")
        _hold_harmless(node)
        needed.add(node)
        left += node.all_input_nodes
    return needed


def _hold_harmless(node: torch.fx.Node) -> None:
    """Raises where running a node again would be costly, random, or seen."""
    name = _name(node)
    if node.op == "call_module" or name in _COSTLY or name.startswith("conv"):
        raise Underivable(f"it hangs on {name}")
    if name in _RANDOM:
        raise Underivable(f"it hangs on {name}, which is random")
    if name.startswith(("_vmap", "_add_batch_dim", "_remove_batch_dim", "_enter", "_exit")):
        raise Underivable(f"it hangs on {name}")
    value = node.meta.get("example_value")
    if isinstance(value, torch.Tensor) and not 0 < _elements(value) <= _LARGEST:
        raise Underivable(f"it hangs on a tensor of {_elements(value)} elements")


def _elements(tensor: torch.Tensor) -> int:
    """Elements, symbolic sizes as they were while tracing; not positive where they are unknown."""
    return math.prod(hint(size) for size in tensor.shape)
