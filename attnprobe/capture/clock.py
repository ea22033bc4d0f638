"""Forward and backward time of one call (`--timing`), and what it holds of the device's memory."""

from __future__ import annotations

import time
from typing import Any

import torch

from attnprobe.capture.facts import PLAIN
from attnprobe.capture.owners import OWNER
from attnprobe.capture.tally import Spans, Tally

Moment = Any
"""Seconds on a CPU; an event on a GPU, whose time is read when it has come."""


class Clock:
    """Takes moments; on CUDA nobody waits for them until `settle`."""

    def __init__(self) -> None:
        self._pending: list[tuple[Spans, Any, Any]] = []

    def now(self, cuda: bool) -> Moment:
        """This moment on the host, or on the current stream."""
        if not cuda:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call] # torch's
        event.record()
        return event

    def span(self, spans: Spans, began: Moment, ended: Moment) -> None:
        """Adds what lies between, at once or later."""
        if isinstance(began, float):
            spans.add(ended - began)
        else:
            self._pending.append((spans, began, ended))

    def settle(self, wait: bool = False) -> None:
        """Reads events that have come; with `wait`, all of them."""
        left = []
        for spans, began, ended in self._pending:
            if wait:
                ended.synchronize()
            if wait or ended.query():
                spans.add(began.elapsed_time(ended) / 1e3)
            else:
                left.append((spans, began, ended))
        self._pending[:] = left


def aliases(tensors: tuple[Any, ...]) -> dict[int, torch.Tensor]:
    """Views of q, k and v, by id: their nodes end the call's part of the graph, whatever that is.

    A view's backward hands its gradient on untouched. Gradients of one tensor are added up in the order
    in which nodes run, later nodes first, so that the last view is q's: the order stays q, k, v. A
    tensor that is passed twice has one view, in which its gradients meet in the order of before.
    """
    found: dict[int, torch.Tensor] = {}
    for tensor in reversed(tensors):
        if type(tensor) in PLAIN and tensor.requires_grad and id(tensor) not in found:
            found[id(tensor)] = tensor.view_as(tensor)
    return found


def replaced(value: Any, views: dict[int, torch.Tensor]) -> Any:
    """An argument, or its view."""
    return views.get(id(value), value) if isinstance(value, torch.Tensor) else value


def time_backward(
    clock: Clock, spans: Spans, output: torch.Tensor, views: dict[int, torch.Tensor]
) -> None:
    """From the moment when the gradient of `output` is known until those of all views are."""
    cuda, left, began = output.is_cuda, [0], list[Moment]()

    def start(_gradients: Any) -> None:
        left[0] = len(views)
        began[:] = [clock.now(cuda)]

    def stop(_gradients: Any) -> None:
        left[0] -= 1
        if left[0] == 0 and began:
            clock.span(spans, began.pop(), clock.now(cuda))

    nodes = [view.grad_fn for view in views.values()]
    if output.grad_fn is not None and nodes:
        output.grad_fn.register_prehook(start)
        for node in nodes:
            if node is not None:
                node.register_prehook(stop)


def count_backward(tally: Tally, node: Any) -> None:
    """Counts how often the backward pass enters a node; says to whom kernels in there belong."""
    if node is None:
        return

    def count(_gradients: Any) -> None:
        tally.backward += 1

    node.register_prehook(count)
    node.metadata[OWNER] = tally


_DEEPEST = 64
"""Nodes of one call's graph that are told whose they are."""


def own(tally: Tally, node: Any, inputs: tuple[Any, ...]) -> None:
    """Tells the nodes of a call whose they are, down to its inputs: heads may be padded or projected."""
    ends = {t.grad_fn for t in inputs if isinstance(t, torch.Tensor) and t.grad_fn is not None}
    waiting, seen = [node], set[Any]()
    while waiting and len(seen) < _DEEPEST:
        here = waiting.pop(0)
        if here is None or here in seen or here in ends:
            continue
        seen.add(here)
        here.metadata[OWNER] = tally
        waiting += [following for following, _ in here.next_functions]


class Memory:
    """The device's memory around one call."""

    def __init__(self) -> None:
        self._held = torch.cuda.memory_allocated()
        self._peak = torch.cuda.max_memory_allocated()

    def after(self, tally: Tally) -> None:
        """Notes what stayed, and the peak where this call is what raised it."""
        tally.kept_bytes = torch.cuda.memory_allocated() - self._held
        peak = torch.cuda.max_memory_allocated()
        if peak > self._peak:
            tally.peak_bytes = peak - self._held
