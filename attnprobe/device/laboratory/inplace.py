"""A call changes nothing that it was given, and returns memory of its own.

Finds inputs that are scaled or masked in place, cotangents that a backward uses as a workspace, and
an output that is a view of an input. A right kernel may read its inputs only.
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
        native = prepared.launch()
        shared = [
            name
            for name, leaf in prepared.leaves.items()
            if isinstance(native, torch.Tensor)
            and native.numel()
            and native.untyped_storage().data_ptr() == leaf.untyped_storage().data_ptr()
        ]
        subject.launch(prepared)
    found = [
        Failure("inplace", f"{name} was changed by the call: an input must stay as it is")
        for name, tensor in given.items()
        if not bool(((tensor == before[name]) | tensor.isnan() & before[name].isnan()).all())
    ]
    found += [Failure("alias", f"the output lies in the memory of {name}") for name in shared]
    return tuple(found)
