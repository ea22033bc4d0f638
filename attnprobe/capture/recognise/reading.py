"""A mask on its way from the device, and one that nobody looked at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields

import torch
from torch import Tensor

from attnprobe.capture.recognise.describe import Looked
from attnprobe.capture.recognise.reductions import Reductions, Values
from attnprobe.core.capture import CapturedMask


class Reading:
    """Reductions that were queued; the answer is made when it is asked for, once.

    Args:
        looked: The mask that is reduced.
        queued: What will come out.
        describe: Makes the answer of both.
    """

    def __init__(
        self,
        looked: Looked,
        queued: Reductions,
        describe: Callable[[Looked, Reductions], CapturedMask],
    ) -> None:
        self._looked, self._describe = looked, describe
        self._queued: Reductions | None = queued
        self._answer: CapturedMask | None = None
        self._done: torch.cuda.Event | None = None
        if queued.rows.is_cuda:
            self._done = torch.cuda.Event()  # type: ignore[no-untyped-call]  # torch's
            self._done.record(torch.cuda.current_stream(queued.rows.device))

    @property
    def ready(self) -> bool:
        """True when `read` makes nobody wait."""
        return self._done is None or self._done.query()  # type: ignore[no-untyped-call]  # torch's

    def read(self) -> CapturedMask:
        """The answer; waits for the device where it has not come so far."""
        if self._answer is None:
            assert self._queued is not None
            with torch.device("cpu"), torch.no_grad():  # whatever the script's default device is
                self._answer = self._describe(self._looked, self._fetched(self._queued))
            self._queued = None
        return self._answer

    def _fetched(self, queued: Reductions) -> Reductions:
        """The numbers on the CPU, by a stream of their own: nobody waits for the script's later work."""
        if self._done is None:
            return queued
        self._done.synchronize()
        side = torch.cuda.Stream(queued.rows.device)  # type: ignore[no-untyped-call]  # torch's
        with torch.cuda.stream(side):
            values = queued.values and Values(
                **{f.name: _host(getattr(queued.values, f.name)) for f in fields(Values)}
            )
            return Reductions(_host(queued.rows), _host(queued.columns), values)


class Unseen:
    """A mask that was not looked at.

    Args:
        mask: It.
        reason: Why.
    """

    ready = True

    def __init__(self, mask: Tensor, reason: str) -> None:
        self._answer = CapturedMask(
            kind="unknown",
            form=str(mask.dtype).removeprefix("torch."),
            shape=tuple(mask.shape),
            requires_grad=mask.requires_grad,
            note=reason,
        )

    def read(self) -> CapturedMask:
        """What is known without looking."""
        return self._answer


def _host(tensor: Tensor) -> Tensor:
    return tensor.cpu()
