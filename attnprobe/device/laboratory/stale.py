"""Nothing is kept from an earlier call that belongs to that call.

Finds a mask kept by shape, and anything kept by address: an optimiser writes new numbers into the
same memory, so that neither address nor shape tells one call from the next. A right kernel keeps
nothing that depends on values. Each call is held to the reference of what it was given.
"""

from __future__ import annotations

import torch
from torch import Tensor

from attnprobe import masks
from attnprobe.core.parity import Failure
from attnprobe.device import reference
from attnprobe.device.inputs import make, own
from attnprobe.device.laboratory import Skipped, _judged
from attnprobe.device.subject import Declined, Subject

BAND = "sliding-window(left=7, right=0, align=top-left)"
ANY = "arbitrary(seed={}, percent=60)"


def examine(subject: Subject) -> tuple[Failure, ...] | Skipped:
    """Other numbers at the same address, then another mask of the same shape and back."""
    hindrance = _judged.hindrance(subject)
    if hindrance is not None:
        return hindrance
    return (*_other_numbers(subject), *_other_masks(subject))


def _other_numbers(subject: Subject) -> tuple[Failure, ...]:
    before, after = own(subject.inputs), own(subject.inputs)
    drawn = make(subject.case.edit(seed=subject.case.seed + 1))
    written = ("q", "k", "v", "bias") if subject.case.wants_bias_grad else ("q", "k", "v")
    for name in written:
        getattr(after, name).copy_(getattr(drawn, name))
    prepared, then = subject.prepare(before), subject.prepare(after)
    with prepared.around():
        subject.launch(prepared)
        with torch.no_grad():
            for name in prepared.leaves:
                _write(prepared.leaves[name], then.leaves[name])
        outputs = subject.launch(prepared, after).outputs
    wrong = _judged.failures(subject, outputs, after, reference.at_home(after))
    names = ", ".join(written)
    return _judged.renamed(wrong, "stale", f"after new numbers were written into {names}")


def _write(into: Tensor, values: Tensor) -> None:
    """Each element once: a mask that is expanded over batch and heads has many in one place."""
    for d, step in enumerate(into.stride()):
        if step == 0 and into.shape[d] > 1:
            into, values = into.narrow(d, 0, 1), values.narrow(d, 0, 1)
    into.copy_(values)


def _other_masks(subject: Subject) -> tuple[Failure, ...]:
    """A band, which leaves whole tiles empty, and masks without any order, one after the other."""
    for text in (BAND, ANY.format(1), ANY.format(2), ANY.format(1)):
        case = subject.case.edit(mask=masks.parse(text), lengths=None, mask_form="best")
        if case.problems:
            continue
        inputs = make(case)
        try:
            outputs = subject.run(inputs)
        except Declined:
            continue
        wrong = _judged.failures(subject, outputs, inputs, reference.at_home(inputs))
        if wrong:
            return _judged.renamed(
                wrong, "stale", "with another mask of the shape of an earlier one"
            )
    return ()
