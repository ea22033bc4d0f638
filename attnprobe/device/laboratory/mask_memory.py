"""A dense mask may lie in memory in any way, and may have fewer dimensions than the scores.

Finds a kernel that takes the rows of a mask to follow each other, its last stride to be 1 or its four
dimensions to be there: models pass `mask[:, :, :M, :N]` of one large buffer, a transpose, a tensor
expanded over heads, or plain (M, N). `attn_mask` must broadcast to the scores' shape, no more, so that a
right kernel reads strides or makes a copy. Each form is held to the reference.
Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.scaled_dot_product_attention.html
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from attnprobe.core.parity import Failure
from attnprobe.device.laboratory import Skipped, _judged
from attnprobe.device.subject import Declined, Subject


def examine(subject: Subject) -> tuple[Failure, ...] | Skipped:
    """One launch for each form that the mask can take."""
    hindrance = _judged.hindrance(subject)
    if hindrance is not None:
        return hindrance
    case = subject.case
    found: list[Failure] = []
    tried = 0
    scores = (case.q_shape[0], case.Hq, case.q_shape[2], case.k_shape[2])
    for words, form in FORMS.items():
        asked = _Form(form, scores)
        inputs = replace(subject.inputs, mask_memory=asked)
        try:
            outputs = subject.run(inputs)
        except Declined:
            continue
        tried += asked.applied
        wrong = _judged.failures(subject, outputs, inputs, subject.truth, _contract(subject, words))
        found += _judged.renamed(wrong, "mask_memory", f"mask {words}")
    return tuple(found) if tried else Skipped("no mask is passed as a tensor of any such form")


def _contract(subject: Subject, words: str) -> str:
    """The gradient of a tensor that was expanded is rounded for every copy before autograd adds them.

    That is what storing dS does, whatever the kernel keeps in float32.
    """
    copied = FORMS[words] in (_expanded, _dense)
    return "fused" if copied and subject.contract == "fp32-internal" else subject.contract


class _Form:
    """One form, and whether a mask took it.

    Args:
        form: Makes it, or gives None where this mask cannot have it.
        scores: The shape that a mask broadcasts to.
    """

    def __init__(
        self, form: Callable[[Tensor, torch.Size], Tensor | None], scores: tuple[int, ...]
    ) -> None:
        self._form, self._scores = form, torch.Size(scores)
        self.applied = False

    def __call__(self, mask: Tensor) -> Tensor:
        shaped = self._form(mask, self._scores)
        self.applied = shaped is not None
        return mask if shaped is None else shaped


def _two(mask: Tensor, scores: torch.Size) -> Tensor | None:
    return mask[0, 0] if mask.shape[:2] == (1, 1) else None


def _three(mask: Tensor, scores: torch.Size) -> Tensor | None:
    return mask[0] if mask.shape[0] == 1 else None


def _expanded(mask: Tensor, scores: torch.Size) -> Tensor | None:
    return mask.expand(scores) if mask.shape != scores else None


def _dense(mask: Tensor, scores: torch.Size) -> Tensor | None:
    return mask.expand(scores).contiguous() if mask.shape != scores else None


def _sliced(mask: Tensor, scores: torch.Size) -> Tensor:
    """The rest of the buffer allows every pair, and adds 1 to it."""
    *lead, M, N = mask.shape
    buffer = mask.new_ones(*lead, M + 3, N + 16)
    return buffer[..., 2 : 2 + M, 8 : 8 + N].copy_(mask)


def _transposed(mask: Tensor, scores: torch.Size) -> Tensor | None:
    return mask.mT.contiguous().mT if min(mask.shape[2:]) > 1 else None


def _heads_last(mask: Tensor, scores: torch.Size) -> Tensor | None:
    """What a table of biases by distance gives: (M, N, H), permuted."""
    return mask.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2) if mask.shape[1] > 1 else None


FORMS = {
    "of two dimensions": _two,
    "of three dimensions": _three,
    "expanded over batch and heads": _expanded,
    "written out for every batch and head": _dense,
    "a slice of a larger buffer": _sliced,
    "transposed in memory": _transposed,
    "with heads innermost": _heads_last,
}
