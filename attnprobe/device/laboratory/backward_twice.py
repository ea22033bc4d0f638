"""A second walk through the same graph gives the same gradients.

Finds a backward that writes into what the forward saved, or into the cotangent. A right kernel
leaves both alone; one that allows a single walk says so by raising, and is not blamed. The second
walk is held to the contract, not to the first one's bits.
"""

from __future__ import annotations

import torch

from attnprobe.core.parity import Failure
from attnprobe.device.backends import _leaves
from attnprobe.device.inputs import Outputs
from attnprobe.device.laboratory import Skipped, _judged
from attnprobe.device.subject import Subject


def examine(subject: Subject) -> tuple[Failure, ...] | Skipped:
    """One forward, two backwards."""
    hindrance = _judged.gradient_hindrance(subject)
    if hindrance is not None:
        return hindrance
    prepared = subject.prepare()
    with prepared.around():
        native = prepared.launch()
        wanted = {name: leaf for name, leaf in prepared.leaves.items() if leaf.requires_grad}
        dout = prepared.layout.native("out", subject.inputs.dout)
        before = dout.clone()
        try:
            torch.autograd.grad(native, tuple(wanted.values()), dout, retain_graph=True)
            second = torch.autograd.grad(native, tuple(wanted.values()), dout)
        except RuntimeError as error:
            return Skipped(f"its graph is walked once only: {str(error).splitlines()[0]}")
    if not torch.equal(dout, before):
        return (Failure("inplace", "the backward changed the gradient that it was given"),)
    found = {
        f"d{name}": _leaves.bias_gradient(subject.inputs, g)
        if name == "bias"
        else prepared.layout.canonical(name, g)
        for name, g in zip(wanted, second, strict=True)
    }
    out = prepared.layout.canonical("out", native.detach())
    wrong = _judged.failures(subject, Outputs(out, **found), subject.inputs, subject.truth)
    return _judged.renamed(wrong, "backward_twice", "after a second walk through the graph")
