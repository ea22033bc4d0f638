"""Whether one pass runs at all, and with how much memory: no reference, no time."""

from __future__ import annotations

from attnprobe.core import cost
from attnprobe.core.outcome import Measured
from attnprobe.core.timing import Timing
from attnprobe.device.backends.base import Prepared
from attnprobe.device.measure import memory, passes
from attnprobe.device.subject import Subject


def answer(subject: Subject, prepared: Prepared) -> Measured:
    """Runs the case once to warm up and once watched; to be called inside `prepared.around()`.

    Raises:
        Exception: Whatever the library raises when launched, out of memory included.
    """
    subject.announce("forward")
    floor = cost.floor_bytes(subject.case)
    device = subject.inputs.q.device
    run = passes.once(prepared, subject.inputs)
    peak = (memory.resident if device.type == "cpu" else memory.peak)(run, device, floor)
    withheld = (f"peak_bytes: {peak.how}",) if peak.bytes is None else ()
    how = peak.how if peak.bytes is not None else ""
    timing = Timing(peak_bytes=peak.bytes, floor_bytes=floor, withheld=withheld, memory=how)
    return Measured(prepared.form, timing=timing)
