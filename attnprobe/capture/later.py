"""Small results that are on their way from the device, and when more may be asked of it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch.utils._python_dispatch import (
    _disable_current_modes,
    _get_current_dispatch_mode_stack,
)

from attnprobe.capture.aside import aside


class Later:
    """A small tensor, copied to the host without waiting for it.

    Args:
        tensor: At most some thousand elements.
    """

    def __init__(self, tensor: torch.Tensor) -> None:
        self._event: torch.cuda.Event | None = None
        if tensor.device.type == "cpu":
            self._host = tensor.clone()
            return
        self._host = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
        self._host.copy_(tensor, non_blocking=True)
        self._event = torch.cuda.Event()  # type: ignore[no-untyped-call] # torch's
        self._event.record()

    @property
    def ready(self) -> bool:
        """True when reading makes nobody wait."""
        return self._event is None or bool(self._event.query())  # type: ignore[no-untyped-call]

    def read(self) -> list[float]:
        """The elements."""
        if self._event is not None:
            self._event.synchronize()
        return [float(x) for x in self._host.flatten().tolist()]


def may_compute(tensor: torch.Tensor) -> bool:
    """Whether operations of our own would go unnoticed here.

    They would not in a graph that is being recorded (tracing, CUDA graphs), under a dispatch mode that
    is not ours (selective checkpointing replays operations by their order), under functorch's
    transforms and in the backward pass, where another thread's state is in force.
    """
    return (
        type(tensor) in (torch.Tensor, torch.nn.Parameter)
        and not tensor.is_nested
        and tensor.device.type in ("cpu", "cuda")
        and all(getattr(mode, "watches_only", False) for mode in _get_current_dispatch_mode_stack())
        and torch._C._functorch.peek_interpreter_stack() is None
        and not is_traced()
        and not in_backward()
        and not (tensor.is_cuda and torch.cuda.is_current_stream_capturing())
    )


def is_traced() -> bool:
    """Whether torch.jit.trace records: even a look at a shape would be an operation of the script's."""
    return torch._C._get_tracing_state() is not None


def in_backward() -> bool:
    """Whether autograd is running in this thread: a forward call in there is a recomputation."""
    return torch._C._current_graph_task_id() != -1


@contextlib.contextmanager
def quietly(device: str) -> Iterator[None]:
    """No graph, no autocast, no complaint about determinism: nothing here reaches the script."""
    deterministic = torch.are_deterministic_algorithms_enabled()
    if deterministic:  # sampled statistics may add in any order; a warning would be the script's
        warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
        torch._C._set_deterministic_algorithms(False)
    try:
        with (
            aside(),
            torch.no_grad(),
            torch.autocast(device, enabled=False),
            torch._C.DisableTorchFunction(),
            _disable_current_modes(),
        ):
            yield
    finally:
        if deterministic:
            torch._C._set_deterministic_algorithms(True, warn_only=warn_only)
