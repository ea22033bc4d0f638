"""A call changes nothing that it was given, and returns memory of its own.

Finds inputs that are scaled or masked in place, cotangents that a backward uses as a workspace, an
output that is a view of an input, and one that every call writes again. A right kernel may read its
inputs only, and leaves its outputs to the caller.
"""

from __future__ import annotations

import torch

from attnprobe.core.parity import Failure
from attnprobe.device.laboratory import Skipped
from attnprobe.device.subject import Subject


def examine(subject: Subject) -> tuple[Failure, ...] | Skipped:
    """Everything is copied before one forward and backward, and compared after it."""
    prepared = subject.prepare()
    given = {**prepared.leaves, "the gradient of the output": subject.inputs.dout}
    before = {name: tensor.detach().clone() for name, tensor in given.items()}
    with prepared.around():
        first, second = prepared.launch(), prepared.launch()
        places = {**prepared.leaves, "the output of the call before": second}
        shared = [name for name, place in places.items() if _one_memory(first, place)]
        subject.launch(prepared)
    found = [
        Failure("inplace", f"{name} was changed by the call: an input must stay as it is")
        for name, tensor in given.items()
        if not bool(((tensor == before[name]) | tensor.isnan() & before[name].isnan()).all())
    ]
    found += [Failure("alias", f"the output lies in the memory of {name}") for name in shared]
    return tuple(dict.fromkeys((*found, *prepared.complaints())))


def _one_memory(one: object, other: object) -> bool:
    """Whether two dense tensors share storage."""
    addresses = [
        t.untyped_storage().data_ptr()
        for t in (one, other)
        if isinstance(t, torch.Tensor) and t.layout == torch.strided and t.numel()
    ]
    return len(addresses) == 2 and addresses[0] == addresses[1] != 0
