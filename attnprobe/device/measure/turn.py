"""One short turn of a case, when two interpreters take turns with it: medians, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median

from attnprobe.core.sampling import Sampling
from attnprobe.core.timing import Timing, Turn
from attnprobe.device.backends.base import Prepared
from attnprobe.device.measure import passes
from attnprobe.device.measure.clocks import clock_for
from attnprobe.device.measure.cold import Prepare, state_of_cache
from attnprobe.device.measure.given import G
from attnprobe.device.measure.sampling import collect
from attnprobe.device.measure.timing import FIELDS


def turn(
    prepared: Prepared,
    inputs: G,
    sampling: Sampling,
    prepare: Prepare[G] | None,
    announce: Callable[[str], None],
) -> Timing:
    """Times a case for as long as the budget says, however wide its intervals are.

    What the intervals of one process cannot see is what turns are taken for, so that one median per
    pass and turn is all that counts. Neither memory nor the device's rates are asked for: both are
    known from the trial that came before.

    Args:
        prepared: The case, ready to launch; to be called inside its `around()`.
        inputs: What it was prepared from.
        sampling: `budget_s` is for all passes together.
        prepare: The backend's `prepare`, for copies of the inputs.
        announce: Called with `time` when sampling begins.

    Returns:
        A timing with one turn, numbered 0.

    Raises:
        Exception: Whatever the library raises when launched, out of memory included.
    """
    passes.once(prepared, inputs)()  # compiles, plans and loads
    (cold,) = state_of_cache((prepared,), inputs, (prepare,), sampling)
    clock, calls = clock_for(inputs.device), passes.calls((cold,), inputs)[0]
    announce("time")
    taken = collect(calls, clock, sampling.budget_s, sampling.target_ci, lambda series: 0.0)
    medians = {
        FIELDS[name]: median(taken[name].medians) for name in passes.wanted(prepared, inputs)
    }
    return Timing(
        clock=clock.text,
        cache=cold.text,
        turns=(Turn(0, medians.get("fwd_s"), medians.get("bwd_s"), medians.get("fwd_bwd_s")),),
    )
