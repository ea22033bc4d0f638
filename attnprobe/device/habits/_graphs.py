"""How many graphs torch.compile makes of a function, and how often it breaks one, over many calls."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch


def counted(
    function: Callable[..., Any], calls: Iterable[tuple[Any, ...]], dynamic: bool | None = None
) -> dict[str, float]:
    """`graphs` and `breaks` of one compiled function over all calls, and how many of them ran no graph.

    What is compiled is run as it was traced, without inductor: what is counted comes before it. A call
    that dynamo gives up on (its limit of versions is reached) runs uncompiled: `uncompiled`.

    Args:
        function: What is compiled, without gradients.
        calls: Arguments, one tuple for each call.
        dynamic: As `torch.compile` has it.
    """
    from torch._dynamo.utils import counters

    graphs = uncompiled = 0
    entered = False

    def backend(graph: torch.fx.GraphModule, example: object) -> Callable[..., Any]:
        nonlocal graphs
        graphs += 1

        def run(*arguments: Any) -> Any:
            nonlocal entered
            entered = True
            return graph.forward(*arguments)

        return run

    torch._dynamo.reset()
    before = sum(counters["graph_break"].values())
    try:
        compiled = torch.compile(function, backend=backend, dynamic=dynamic)
        with torch.no_grad():
            for arguments in calls:
                entered = False
                compiled(*arguments)
                uncompiled += not entered
    finally:
        torch._dynamo.reset()
    breaks = sum(counters["graph_break"].values()) - before
    return {"graphs": graphs, "breaks": breaks, "uncompiled": uncompiled}
