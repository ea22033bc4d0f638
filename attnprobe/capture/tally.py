"""Calls that are alike, while they are being counted."""

from __future__ import annotations

import weakref
from collections import Counter
from typing import Any

import torch

from attnprobe.capture.facts import autocast, dtype_name, facts
from attnprobe.capture.later import Later
from attnprobe.capture.seen import Seen
from attnprobe.capture.site import Place, Surroundings, written
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
        place: Where it was made.
        root: The script's folder.
    """

    def __init__(self, api: str, seen: Seen, place: Place | None, root: str) -> None:
        self.api = api
        self.tensors: tuple[TensorFacts, ...] = tuple(facts(t) for t in (seen.q, seen.k, seen.v))
        self.where = written(*place, root) if place else ""
        self.function = place[0].co_name if place else ""
        around = Surroundings(root, torch.nn.Module)
        self.caller, self.module, self.training = around.caller, around.module, around.training
        self.grad_enabled = torch.is_grad_enabled()
        self.autocast = autocast(seen.q.device.type)
        self.deterministic = torch.are_deterministic_algorithms_enabled()
        self.shared_storage = _shared(seen)
        self.flags = seen._replace(
            q=None, k=None, v=None, mask=None, cu_q=None, cu_kv=None, look=None
        )
        self.compiled = False
        self.count = self.recomputed = self.backward = self.failed = self.looks = 0
        self.masks: list[Recognition | CapturedMask] = []
        self.masks_made = 0
        self._mask: weakref.ref[torch.Tensor] | None = None
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

    def passed(self, mask: Any) -> None:
        """Notes whether this call's mask is the tensor of the call before, or another one."""
        if not isinstance(mask, torch.Tensor):
            return
        source = mask if mask._base is None else mask._base
        if self._mask is None or self._mask() is not source:
            self.masks_made += 1
            self._mask = weakref.ref(source)

    @property
    def autocast_name(self) -> str:
        """`bfloat16`; empty without autocast."""
        return dtype_name(self.autocast) if self.autocast else ""


def _shared(seen: Seen) -> bool:
    """Whether q, k and v are different views of one storage."""
    tensors = (seen.q, seen.k, seen.v)
    if any(type(t) not in (torch.Tensor, torch.nn.Parameter) or t.is_nested for t in tensors):
        return False
    storages = {t.untyped_storage()._cdata for t in tensors}
    return len(storages) == 1 and seen.q is not seen.k
