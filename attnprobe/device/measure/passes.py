"""Forward, backward alone, and both: what is timed in each, and what is not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import cycle

import torch
from torch import Tensor

from attnprobe.core.case import Pass
from attnprobe.device.backends.base import Gradients, Prepared
from attnprobe.device.measure.clocks import Call
from attnprobe.device.measure.cold import Cold
from attnprobe.device.measure.given import Given


def wanted(prepared: Prepared, inputs: Given) -> tuple[Pass, ...]:
    """The passes that answer the case: all three when it asks for forward and backward."""
    if not inputs.case.wants_backward or not _leaves(prepared):
        return ("fwd",)
    return ("bwd",) if inputs.case.passes == "bwd" else ("fwd", "bwd", "fwd+bwd")


def _leaves(prepared: Prepared) -> list[Tensor]:
    return [leaf for leaf in prepared.leaves.values() if leaf.requires_grad]


def cotangent(prepared: Prepared, inputs: Given, out: Tensor) -> Tensor:
    """The gradient of the output, laid out in memory like the output itself.

    `out.sum().backward()` would hand the kernels an expanded tensor of stride 0, which cuDNN copies
    first and no training ever sends (pytorch#138529, #141147).
    """
    native = prepared.layout.native("out", inputs.dout)
    if not isinstance(out, Tensor) or native.is_nested:  # a layer may return several tensors
        return native
    return torch.empty_like(out).copy_(native)


def gradients(prepared: Prepared, out: Tensor, dout: Tensor) -> Gradients:
    """Backward alone."""
    return prepared.differentiate(out, _leaves(prepared), dout)


def once(prepared: Prepared, inputs: Given) -> Callable[[], object]:
    """The whole case, to be run inside `prepared.around()`: for the profiler and for peak memory."""
    if wanted(prepared, inputs) == ("fwd",):
        return prepared.launch
    with prepared.around():
        dout = cotangent(prepared, inputs, prepared.launch())

    def both() -> object:
        out = prepared.launch()
        return out, gradients(prepared, out, dout)

    return both


def _cotangents(
    copies: Sequence[Prepared], inputs: Given, known: dict[object, Tensor]
) -> dict[int, Tensor]:
    """By copy of the inputs. One serves all, but a jagged output wants the offsets of its own inputs.

    Contestants whose outputs are laid out alike share it too (`known`), for what keep_cold says of
    addresses.
    """
    with copies[0].around():
        first = cotangent(copies[0], inputs, copies[0].launch())
        if not isinstance(first, Tensor):
            return {id(copy): first for copy in copies}
        if not first.is_nested:
            shared = known.setdefault((first.shape, first.stride(), first.dtype), first)
            return {id(copy): shared for copy in copies}
        return {id(copy): cotangent(copy, inputs, copy.launch()) for copy in copies}


def calls(colds: Sequence[Cold], inputs: Given) -> list[dict[str, Call]]:
    """For each contestant one `Call` per wanted pass.

    Backward runs a fresh forward before each sample, outside the timed region, instead of keeping one
    graph with `retain_graph=True`: a compiled backward frees what it saved ("donated buffers"), and a
    retained graph per copy of the inputs would hold a score matrix each. Its inputs have just been
    used, so on CUDA it is always preceded by a flush where anything is cold.
    """
    known: dict[object, Tensor] = {}
    return [_calls(cold, inputs, _cotangents(cold.copies, inputs, known)) for cold in colds]


def _calls(cold: Cold, inputs: Given, douts: dict[int, Tensor]) -> dict[str, Call]:
    first, copies = cold.copies[0], cycle(cold.copies)

    def next_copy() -> Prepared:
        cold.before_forward()
        return next(copies)

    def forward_of(prepared: Prepared) -> Tensor:
        return prepared.launch()

    def graph() -> Tensor:
        out = first.launch()
        cold.before_backward()
        return out

    def backward_of(out: Tensor) -> object:
        return gradients(first, out, douts[id(first)])

    def both_of(prepared: Prepared) -> object:
        return gradients(prepared, prepared.launch(), douts[id(prepared)])

    found: dict[Pass, Call] = {
        "fwd": Call(forward_of, next_copy, first.around),
        "bwd": Call(backward_of, graph, first.around),
        "fwd+bwd": Call(both_of, next_copy, first.around),
    }
    return {name: found[name] for name in wanted(first, inputs)}
