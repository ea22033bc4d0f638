"""Calls that are alike, while they are being counted."""

from __future__ import annotations

import weakref
from collections import Counter
from typing import Any

import torch

from attnprobe.capture.facts import autocast, dtype_name, facts, has_storage
from attnprobe.capture.later import Later
from attnprobe.capture.seen import Seen
from attnprobe.capture.site import Origin
from attnprobe.core.capture import CapturedMask, Recognition, TensorFacts


class Spans:
    """Times of one direction, some of them still on their way (CUDA events)."""

    def __init__(self) -> None:
        self.total, self.timed = 0.0, 0

    def add(self, seconds: float) -> None:
        """One more."""
        self.total += seconds
        self.timed += 1


class Tally:
    """What is known of calls that are alike.

    Attributes:
        count: Forward calls.
        recomputed: Those in the backward pass, made again by checkpointing.
        backward: Times that the backward pass went through.
        failed: Forward calls that left by an exception.
        looks: How often one was looked at closely.
        masks: What came of looking at masks.
        masks_made: How often another mask tensor was passed than the time before.
        logits: Least and largest unscaled logits.
        lengths: Lengths of packed sequences of the last look, `q` and `kv`.
        kernels: Operators below, with counts.
        backends: What a library said that it chose.
        softmax_dtype: For hand-written attention.
        steps: For hand-written attention, what lies between the products.

    Args:
        api: Name of the API.
        seen: The first call.
        origin: Where it was made.
        compiled: Whether that lies in a compiled region.
    """

    def __init__(self, api: str, seen: Seen, origin: Origin, compiled: bool = False) -> None:
        self.api = api
        self.tensors: tuple[TensorFacts, ...] = tuple(facts(t) for t in (seen.q, seen.k, seen.v))
        self.origin, self.compiled = origin, compiled
        self.grad_enabled = torch.is_grad_enabled()
        self.autocast = autocast(seen.q.device.type)
        self.deterministic = torch.are_deterministic_algorithms_enabled()
        self.shared_storage = _shared(seen)
        self.flags = seen._replace(
            q=None, k=None, v=None, mask=None, cu_q=None, cu_kv=None, look=None
        )
        self.count = self.recomputed = self.backward = self.failed = self.looks = 0
        self.masks: list[Recognition | CapturedMask] = []
        self.masks_made = 0
        self._mask: weakref.ref[Any] | None = None
        self.logits: list[Later] = []
        self.lengths: dict[str, Later] = {}
        self.kernels: Counter[str] = Counter()
        self.backends: Counter[str] = Counter()
        self.forward_s, self.backward_s = Spans(), Spans()
        self.kept_bytes: int | None = None
        self.peak_bytes: int | None = None
        self.softmax_dtype = ""
        self.steps: tuple[str, ...] = ()
        self.notes: list[str] = list(seen.said)

    @property
    def where(self) -> str:
        """`file:line`."""
        return self.origin.where

    def passed(self, mask: Any) -> None:
        """Notes whether this call's mask is the tensor of the call before, or another one."""
        if mask is None:
            return
        view = isinstance(mask, torch.Tensor) and mask._base is not None
        source = mask._base if view else mask
        if self._mask is None or self._mask() is not source:
            self.masks_made += 1
            self._mask = weakref.ref(source)

    def ran(self, operator: str, _arguments: tuple[Any, ...]) -> None:
        """An operator of interest ran in its backward pass."""
        self.kernels[operator] += 1

    @property
    def autocast_name(self) -> str:
        """`bfloat16`; empty without autocast."""
        return dtype_name(self.autocast) if self.autocast else ""


def _shared(seen: Seen) -> bool:
    """Whether q, k and v are different views of one storage."""
    tensors = (seen.q, seen.k, seen.v)
    if not all(map(has_storage, tensors)):
        return False
    storages = {t.untyped_storage()._cdata for t in tensors}
    return len(storages) == 1 and seen.q is not seen.k
