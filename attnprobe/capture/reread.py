"""A layer's masks in a compiled graph: they have a meaning of their own, which its reader knows."""

from __future__ import annotations

import contextlib
from typing import Any

import torch

from attnprobe.capture.derived import Underivable, derive
from attnprobe.capture.later import quietly
from attnprobe.capture.seen import Looked, Seen


class Reread:
    """Reads a layer's arguments again when its graph runs.

    Args:
        gm: The graph.
        read: Reads the layer's arguments.
        node: The layer in the graph.
        inputs: Which nodes are inputs of the graph, by their position.
        seen: What was read while tracing.
    """

    def __init__(
        self,
        gm: torch.fx.GraphModule,
        read: Any,
        node: torch.fx.Node,
        inputs: dict[Any, int],
        seen: Seen,
    ) -> None:
        self._read, self._node, self._inputs = read, node, inputs
        self._device = seen.q.device.type
        self._made = _made_again(gm, node, seen)

    def __call__(self, args: tuple[Any, ...]) -> Looked:
        """What the masks are for these inputs; unknown where one cannot be computed again."""
        given = (self._node.args, self._node.kwargs)
        with quietly(self._device):
            seen: Seen = self._read(*torch.fx.node.map_arg(given, lambda n: self._value(n, args)))
            return seen.look(seen) if seen.look is not None else None

    def _value(self, node: torch.fx.Node, args: tuple[Any, ...]) -> Any:
        if node in self._made:
            return self._made[node](*args)[0]
        return args[self._inputs[node]] if node in self._inputs else node.meta.get("example_value")


def _made_again(gm: torch.fx.GraphModule, node: torch.fx.Node, seen: Seen) -> dict[Any, Any]:
    """A layer's arguments that the graph computes and that can be computed again: its masks."""
    found = {}
    for source in node.all_input_nodes:
        example = source.meta.get("example_value")
        taken = any(example is tensor for tensor in (seen.q, seen.k, seen.v))
        if source.op != "placeholder" and not taken:
            with contextlib.suppress(Underivable):
                found[source] = derive(gm, (source,))
    return found
