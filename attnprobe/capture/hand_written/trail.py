"""From scores to probabilities: what each operator in between says of the attention around it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch

from attnprobe.capture.facts import dtype_name
from attnprobe.capture.later import Later, quietly
from attnprobe.capture.look import recognised
from attnprobe.capture.seen import Looked

Stage = Literal["scores", "exponentials", "sums", "probabilities"]

_SAMPLE = 32
"""Rows of the scores whose range is looked at."""

_LONGEST = 80
"""Operators after which nobody expects a softmax any more."""

_LARGEST = 2**26
"""Elements of parts, their geometric mean, up to which they are put together for all batch elements."""

_VIEWS = {
    *("view", "_unsafe_view", "expand", "transpose", "permute", "t", "clone", "slice", "alias"),
    *("_reshape_alias", "detach", "unsqueeze", "squeeze", "select", "split", "contiguous"),
    *("chunk", "unflatten", "flatten", "reshape", "lift_fresh"),
}
_SCALES = {"mul", "mul_", "div", "div_"}
_ADDS = {"add", "add_", "sub", "sub_"}
_FILLS = {"masked_fill", "masked_fill_", "where"}
_OTHERS = {
    *("_to_copy", "neg", "clamp", "clamp_", "nan_to_num", "constant_pad_nd", "tanh", "tanh_"),
    *("copy_", "tril", "triu", "cat", "index_select", "roll", "gather", "relu"),
}
_SOFTMAXES = {"_softmax", "_safe_softmax", "_masked_softmax"}
_DROPOUTS = {"native_dropout", "_fused_dropout"}

_STAYS = {
    "scores": _SCALES | _ADDS | _FILLS | _OTHERS,
    "probabilities": _SCALES | _DROPOUTS | _FILLS | _OTHERS,
}

StageOf = Callable[[Any], "Stage | None"]
"""What a value is on any trail; None where it is on none."""


class Trail:
    """One product's result on its way.

    Attributes:
        found: Whether a softmax was met.
        scale: What the scores were multiplied with before it.
        softcap: Limit of a soft cap; None without.
        dropout_p: Dropout of the probabilities.
        softmax_dtype: What it was computed in.
        steps: Operators met, in order.
        masks: What came of looking at the tensors that were added, filled in or selected by.
        notes: What else a reader must know.

    Args:
        scores: The product's result.
        scale: What the product itself multiplied with.
        stage_of: Tells which tensors are on a trail.
    """

    def __init__(self, scores: torch.Tensor, scale: float, stage_of: StageOf) -> None:
        self._left, self._shape = _LONGEST, tuple(scores.shape)
        self._stage_of = stage_of
        self._capped: float | None = None
        self._operands: list[str] = []
        self._parts: list[torch.Tensor] = []
        self.found = False
        self.scale, self.dropout_p = scale, 0.0
        self.softcap: float | None = None
        self.softmax_dtype = ""
        self.steps: list[str] = []
        self.masks: list[Looked] = []
        self.notes: list[str] = []

    @property
    def alive(self) -> bool:
        """Whether something may still come of it."""
        return self._left > 0

    def passes(self, name: str, args: Any) -> None:
        """Any operator of the thread, before it runs; only dropout's draws matter here."""
        self._left -= 1
        if self.found and (name in _DROPOUTS or name.startswith("bernoulli")) and len(args) > 1:
            rate = args[1]
            if isinstance(rate, float):  # on a CPU dropout draws its own zeros and ones
                kept = name.startswith("bernoulli")
                self.dropout_p = round(1.0 - rate, 9) if kept else rate

    def reads(self, name: str, args: Any) -> None:
        """An operator that takes scores, before it runs: in place, it overwrites what it reads."""
        first = self._stage_of(args[0]) is not None
        if name in _ADDS and len(args) > 1 and isinstance(args[1], torch.Tensor):
            other = args[1] if first else args[0]
            self.added(other, -1.0 if name.startswith("sub") else 1.0)
        elif name == "where" and len(args) == 3:
            chosen = self._stage_of(args[1]) is not None
            self._look(args[0] if chosen else ~args[0], "selected")
        elif name in _FILLS:
            self._look(~args[1], "filled")
        elif name in _SOFTMAXES or name == "exp":
            self._look_at_parts(args[0])

    def added(self, other: torch.Tensor, sign: float = 1.0) -> None:
        """A tensor was added to the scores; one value per row is a shift, for a softmax by hand."""
        if self._stage_of(other) is not None:
            self.notes.append("scores are the sum of two products")
        elif other.dim() and other.shape[-1] > 1:
            added = other if other.is_floating_point() else other.float()
            self._look(-added if sign < 0 else added, "added")

    def makes(self, name: str, stage: Stage, args: Any, made: torch.Tensor) -> Stage | None:
        """What an operator's result is; None where it leaves the trail."""
        following = self._next(name, stage, args)
        if following is not None and name not in _VIEWS:
            self.steps.append(f"to({dtype_name(made.dtype)})" if name == "_to_copy" else name)
        if following == "probabilities" and stage != "probabilities":
            self.found, self.softmax_dtype = True, dtype_name(made.dtype)
        return following

    def _next(self, name: str, stage: Stage, args: Any) -> Stage | None:
        if name in _VIEWS or name == "_to_copy":
            return stage
        match stage:
            case "scores" if name in _SOFTMAXES:
                return "probabilities"
            case "scores" if name == "exp":
                return "exponentials"
            case "exponentials" if name == "sum":
                return "sums"
            case "exponentials" if name in _SCALES:
                return "probabilities"
        if stage == "scores" and name in _SCALES:
            self._scaled(name, args)
        elif stage == "scores" and name.startswith("tanh"):
            self._capped, self.scale = self.scale, 1.0
        return stage if name in _STAYS.get(stage, ()) else None

    def _scaled(self, name: str, args: Any) -> None:
        other = args[1] if self._stage_of(args[0]) is not None else args[0]
        if isinstance(other, torch.Tensor) and other.numel() == 1 and other.device.type == "cpu":
            other = other.item()
        if not isinstance(other, (int, float)):
            self.notes.append("scores are multiplied with a tensor")
            return
        factor = 1.0 / other if name.startswith("div") else float(other)
        if self._capped is not None:  # after tanh: the cap's own factor
            self.softcap, self.scale = factor, self._capped * factor
            self._capped = None
        else:
            self.scale *= factor

    def _look(self, mask: torch.Tensor, how: str) -> None:
        """A part of the mask: what it is shows when all parts are there, at the softmax."""
        self._operands.append(how)
        self._parts.append(mask)

    def _look_at_parts(self, scores: torch.Tensor) -> None:
        """The mask that all parts are together."""
        if not self._parts:
            return
        parts, self._parts = self._parts, []
        if len(parts) > 1:
            self.notes.append(
                f"the mask is made of {len(parts)} parts: {', '.join(self._operands)}"
            )
        with quietly(scores.device.type):
            whole, *others = (_by_heads(part, scores) for part in parts)
            for other in others:
                whole = together(whole, other)
        if others:
            whole.requires_grad_(any(part.requires_grad for part in parts))
        self.masks.append(recognised(whole, self._shape[-2], self._shape[-1]))


def _by_heads(part: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
    """A part that was added while heads were in the batch, as scores have them at the softmax."""
    if part.dim() == 3 and scores.dim() == 4 and part.shape[0] == scores.shape[0] * scores.shape[1]:
        return part.reshape(*scores.shape[:2], *part.shape[1:])
    return part


def together(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """What two parts of a mask do: pairs that both allow, and the sum of what they add."""
    if one.dtype == other.dtype == torch.bool:
        return one & other
    if one.numel() * other.numel() > _LARGEST**2:
        one, other = (part[:1] if part.dim() > 3 else part for part in (one, other))
    kind = one.dtype if one.is_floating_point() else other.dtype
    one, other = (_added(part, kind) for part in (one, other))
    return one + other


def _added(part: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """A part as numbers that are added."""
    if part.dtype != torch.bool:
        return part
    nothing = torch.zeros((), dtype=dtype, device=part.device)
    return torch.where(part, nothing, -torch.inf)


def sampled_range(scores: torch.Tensor) -> Later | None:
    """Least and largest of some rows of the first batch element's scores."""
    with quietly(scores.device.type):
        part = scores.detach()
        while part.dim() > 3:
            part = part[0]
        part = part[..., :: max(1, part.size(-2) // _SAMPLE), :]
        return Later(torch.stack(part.float().aminmax())) if part.numel() else None
