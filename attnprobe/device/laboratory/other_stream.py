"""Work is done on the caller's CUDA stream, after what the caller put there before.

Finds a kernel that is launched on the default stream: beside a caller's own stream it reads inputs
before they are there. A right kernel takes the current stream (`torch.cuda.current_stream`), where
the inputs are written late, behind a long wait; the result is held to the reference. Not on CPUs.
Source: https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-streams
"""

from __future__ import annotations

import torch

from attnprobe.core.parity import Failure
from attnprobe.device.inputs import own
from attnprobe.device.laboratory import Skipped, _judged
from attnprobe.device.subject import Subject

CYCLES = 50_000_000
"""About 25 ms at 2 GHz: long against any launch."""


def examine(subject: Subject) -> tuple[Failure, ...] | Skipped:
    """Inputs arrive on a stream of their own, late."""
    if not subject.case.device.startswith("cuda"):
        return Skipped("there are no streams on a CPU")
    hindrance = _judged.hindrance(subject)
    if hindrance is not None:
        return hindrance
    prepared = subject.prepare(own(subject.inputs))
    kept = {name: leaf.detach().clone() for name, leaf in prepared.leaves.items()}
    with torch.no_grad():
        for leaf in prepared.leaves.values():
            leaf.zero_()
    torch.cuda.synchronize()
    side = torch.cuda.Stream()  # type: ignore[no-untyped-call] # torch leaves it untyped
    with torch.cuda.stream(side), prepared.around():
        torch.cuda._sleep(CYCLES)  # type: ignore[no-untyped-call] # torch's own tests wait with it
        with torch.no_grad():
            for name, leaf in prepared.leaves.items():
                leaf.copy_(kept[name])
        outputs = subject.launch(prepared).outputs
    torch.cuda.synchronize()
    wrong = _judged.failures(subject, outputs, subject.inputs, subject.truth)
    return _judged.renamed(wrong, "other_stream", "on a stream other than the default one")
