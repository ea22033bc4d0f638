"""Whether a case runs at all, and with how much memory: no reference, no time, no guess beforehand."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from attnprobe.core import cost
from attnprobe.core.case import Case
from attnprobe.core.outcome import Measured, Outcome, Refused
from attnprobe.core.timing import Timing
from attnprobe.device import memory, remembered
from attnprobe.device.backends.base import Backend
from attnprobe.device.inputs import Inputs, drawn_bias
from attnprobe.device.measure import passes
from attnprobe.device.measure.memory import peak
from attnprobe.device.measure.resident import resident
from attnprobe.device.subject import NO_KERNEL, Subject


def answer(backend: Backend, case: Case, announce: Callable[[str], None]) -> Outcome:
    """Runs the case's passes, warm and then watched.

    Nothing else is held meanwhile: what earlier trials left is dropped, and inputs are drawn in the
    case's own dtype where they are used, so that making them takes no more than they do.

    Args:
        backend: Who.
        case: What.
        announce: Called with the name of the phase that begins.

    Raises:
        Declined: The backend does not take the case.
        Exception: Whatever the library raises when launched, out of memory included.
    """
    remembered.forget()
    if case.device != "cpu":
        torch.cuda.empty_cache()
    subject = Subject(backend, inputs(case))
    prepared = subject.prepare()
    announce("forward and backward" if case.wants_backward else "forward")
    device, floor = subject.inputs.q.device, cost.floor_bytes(case)
    try:
        with prepared.around():
            run = passes.once(prepared, subject.inputs)
            found = (resident if device.type == "cpu" else peak)(run, device, floor)
    except RuntimeError as error:
        if isinstance(error, torch.OutOfMemoryError) or not NO_KERNEL.search(str(error)):
            raise
        return Refused("library", (str(error) or type(error).__name__,))
    timing = Timing(
        peak_bytes=found.bytes,
        floor_bytes=floor,
        memory=found.how if found.bytes is not None else "",
        withheld=(f"peak_bytes: {found.how}",) if found.bytes is None else (),
    )
    return Measured(prepared.form, timing=timing)


def inputs(case: Case) -> Inputs:
    """Normal numbers with the case's shapes, dtype and layout, one tensor after the other."""
    generator = torch.Generator(case.device).manual_seed(case.seed)

    def drawn(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        return torch.randn(shape, generator=generator, device=case.device, dtype=dtype)

    dtype = getattr(torch, case.dtype)
    q, k, v = (drawn(shape, dtype) for shape in (case.q_shape, case.k_shape, case.v_shape))
    q, k, v = memory.lay_out(case.layout, q, k, v)
    if case.wants_backward:
        dout = memory.like_out(case.layout, drawn(case.out_shape, dtype))
    else:
        dout = q.new_zeros(1).expand(case.out_shape)
    kind = getattr(torch, (case.score.bias and case.score.bias.dtype) or case.dtype)
    bias = drawn_bias(case, lambda shape: drawn(shape, kind))
    return Inputs(case, q, k, v, dout, bias, case.device)
