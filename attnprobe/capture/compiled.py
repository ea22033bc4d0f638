"""Attention inside regions that torch.compile compiled: read off the graph, counted at every run.

`OutputGraph.call_user_compiler` is private; where it is missing, that is a gap. Graphs are as before:
the callable that a backend made of one is wrapped, and nothing is added to it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any

from attnprobe.capture.site import written

if TYPE_CHECKING:
    from attnprobe.capture.recorder import Recorder
    from attnprobe.capture.watch import Watch

MODULES = ("torch._dynamo.output_graph",)
WHAT = "calls in compiled regions"


def install(module: ModuleType, watch: Watch) -> None:
    """Every graph of every backend passes here.

    Raises:
        AttributeError: This torch has no such place.
    """
    graphs, recorder = module.OutputGraph, watch.recorder
    original = graphs.call_user_compiler

    @functools.wraps(original)
    def call_user_compiler(self: Any, gm: Any, example_inputs: Any) -> Any:
        region = None
        if recorder.listening:  # eager flex_attention compiles, too
            try:
                region = _region(self, gm, recorder)
            except Exception as error:  # noqa: BLE001 - the script's compilation must succeed
                recorder.gap("calls in a compiled region", error)
        compiled = original(self, gm, example_inputs)
        return counted(compiled, region, recorder) if region is not None else compiled

    watch.put(graphs, "call_user_compiler", original, call_user_compiler)


def _region(graph: Any, gm: Any, recorder: Recorder) -> Any:
    """What is known of a graph with attention in it; None for one without."""
    from torch._guards import CompileContext

    from attnprobe.capture.region import Region

    compile_id = CompileContext.current_compile_id()
    if compile_id is not None and (compile_id.frame_compile_id or 0) > 0:
        code = graph.root_tx.f_code
        place = written(code, code.co_firstlineno, recorder.root)
        recorder.recompiles[f"{place} {code.co_name}"] += 1
    region = Region(gm, recorder)
    return region if region.tallies else None


def counted(compiled: Callable[..., Any], region: Any, recorder: Recorder) -> Callable[..., Any]:
    """The same callable, that says when it runs."""

    @functools.wraps(compiled)
    def run(*args: Any) -> Any:
        if not recorder.listening:
            return compiled(*args)
        guarded(region.begins, args)
        recorder.open.append(region)
        try:
            out = compiled(*args)
        finally:
            recorder.open.pop()
        guarded(region.ended, out)
        return out

    def guarded(what: Callable[[Any], None], argument: Any) -> None:
        try:
            what(argument)
        except Exception as error:  # noqa: BLE001 - the region has to run
            recorder.gap("a run of a compiled region", error)

    return run
