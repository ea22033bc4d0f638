"""What a materialised mask really is: causal, a window, padding, documents, ALiBi, or nothing at all.

`recognise(mask, Mq, Mkv)` queues a few reductions on the mask's device and returns at once; `read()`
waits for them and names the mask. A name is given only where it reproduces every element. A mask that
has not changed since it was last seen costs a look into a table.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef

from attnprobe.capture.recognise.describe import Looked, describe
from attnprobe.capture.recognise.reading import Reading, Unseen
from attnprobe.capture.recognise.reductions import reduce
from attnprobe.core.capture import Recognition

LARGEST = {True: 2**32, False: 2**28}
"""Elements of a boolean mask, and of a float one, which takes more of the script's memory to look at."""

KNOWN = 256
"""Masks that are remembered."""


class Recogniser:
    """Remembers masks by their memory and version.

    A tensor made under inference mode has no version, so that it is looked at every time; a write
    through `.data` is not seen by the version.
    """

    def __init__(self) -> None:
        self._known = dict[tuple[object, ...], tuple[StorageWeakRef, Recognition]]()

    def __call__(self, mask: Tensor, Mq: int, Mkv: int) -> Recognition:
        """Looks at a mask; waits for nobody, and keeps no reference to it.

        Args:
            mask: Boolean (True attends) or float (added to the logits). Its shape broadcasts to
                (B, Hq, Mq, Mkv); dims beyond four are taken for groups of heads.
            Mq: Queries of the call.
            Mkv: Keys of the call.

        Raises:
            ValueError: The shape does not broadcast.
        """
        reason = _unreadable(mask)
        if reason:
            return Unseen(mask, reason)
        key = None if mask.is_inference() else _identity(mask, Mq, Mkv)
        known = self._known.get(key) if key is not None else None
        if known is not None:
            storage, recognition = known
            if not storage.expired():  # type: ignore[no-untyped-call]  # torch's
                return recognition
        with torch.no_grad():
            recognition = _look(mask.detach(), mask.requires_grad, Mq, Mkv)
        if key is not None:
            if len(self._known) >= KNOWN:
                self._forget()
            storage = StorageWeakRef(mask.untyped_storage())  # type: ignore[no-untyped-call]  # torch's
            self._known[key] = storage, recognition
        return recognition

    def _forget(self) -> None:
        """Drops masks that no longer exist, or all of them."""
        alive = {
            key: kept
            for key, kept in list(self._known.items())  # another thread may add one
            if not kept[0].expired()  # type: ignore[no-untyped-call]  # torch's
        }
        self._known = alive if len(alive) < KNOWN else {}


recognise = Recogniser()
"""The one that `capture` uses."""


def _identity(mask: Tensor, Mq: int, Mkv: int) -> tuple[object, ...]:
    return (
        mask.data_ptr(),
        mask._version,
        mask.shape,
        mask.stride(),
        mask.dtype,
        mask.device,
        mask.requires_grad,
        Mq,
        Mkv,
    )


def _unreadable(mask: Tensor) -> str:
    """Why a mask cannot be looked at; empty when it can."""
    if type(mask) not in (Tensor, torch.nn.Parameter, torch.nn.Buffer):
        return f"a {type(mask).__name__} has no elements to look at"
    if mask.layout != torch.strided or mask.device.type == "meta":
        return f"a {mask.device.type} tensor of layout {mask.layout} has no elements to look at"
    if torch._C._functorch.is_functorch_wrapped_tensor(mask):
        return "inside torch.func a tensor's elements are not its own"
    if mask.dtype != torch.bool and not mask.is_floating_point():
        return f"a mask of {mask.dtype} is neither boolean nor added"
    if mask.is_cuda and torch.cuda.is_current_stream_capturing():
        return "the call is recorded into a CUDA graph, which would repeat the look"
    return ""


def _look(mask: Tensor, requires_grad: bool, Mq: int, Mkv: int) -> Recognition:
    four = mask
    while four.dim() < 4:
        four = four.unsqueeze(0)
    if four.dim() > 4:
        four = four.flatten(1, -3)
    if four.shape[2] not in (1, Mq) or four.shape[3] not in (1, Mkv):
        raise ValueError(f"a mask of shape {tuple(mask.shape)} does not broadcast to {Mq} x {Mkv}")
    for dim in range(4):
        if four.stride(dim) == 0 and four.shape[dim] > 1:
            four = four.narrow(dim, 0, 1)
    if not 0 < four.numel() <= LARGEST[four.dtype == torch.bool] or not Mq or not Mkv:
        why = "it is empty" if not four.numel() else f"it has {four.numel()} elements"
        return Unseen(mask, f"not looked at: {why}")
    looked = Looked(tuple(mask.shape), tuple(four.shape), mask.dtype, requires_grad, Mq, Mkv)
    return Reading(looked, reduce(four), describe)
