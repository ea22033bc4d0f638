"""Without a graph a forward gives what it gives with one, call after call.

Finds a path for inference that forgets a mask, and a cache of keys that one call leaves to the next:
libraries ask `torch.is_grad_enabled` to choose a kernel. A right kernel knows no difference. Each call,
inside `torch.no_grad` and `torch.inference_mode`, is held to the reference of what it was given.
Source: https://docs.pytorch.org/docs/stable/notes/autograd.html#locally-disabling-gradient-computation
"""

from __future__ import annotations

from dataclasses import replace

import torch

from attnprobe.core.parity import Failure
from attnprobe.device import remembered
from attnprobe.device.inputs import Outputs, make
from attnprobe.device.laboratory import Skipped, _judged
from attnprobe.device.subject import Subject

MODES = {"torch.no_grad": torch.no_grad, "torch.inference_mode": torch.inference_mode}


def examine(subject: Subject) -> tuple[Failure, ...] | Skipped:
    """In each mode the case's own numbers, others, and its own again."""
    if subject.case.dropout_p:
        return Skipped("inference has no dropout")
    usual = _judged.usual(subject)
    if usual:
        return usual
    case = subject.case.edit(passes="fwd")
    own, other = replace(subject.inputs, case=case), make(case.edit(seed=case.seed + 1))
    for words, mode in MODES.items():
        for inputs in (own, other, own):
            prepared = subject.prepare(inputs)
            with prepared.around(), mode():
                got = subject.launch(prepared, inputs).outputs
            out = Outputs(got.out.clone(), None if got.lse is None else got.lse.clone())
            truth = remembered.truth(inputs.case)
            wrong = _judged.failures(subject, out, inputs, truth)
            if wrong:
                return _judged.renamed(wrong, "inference", f"inside {words}")
    return ()
