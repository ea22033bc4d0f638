"""One case with one backend: times, memory and share of the limit, or why not."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

from attnprobe.core.case import Pass
from attnprobe.core.sampling import DEFAULT, Sampling
from attnprobe.core.timing import Duration, Rates, Timing
from attnprobe.device.backends.base import Prepared
from attnprobe.device.measure import memory, passes, roofline
from attnprobe.device.measure.clocks import CudaClock, clock_for
from attnprobe.device.measure.cold import Prepare, state_of_cache
from attnprobe.device.measure.given import G
from attnprobe.device.measure.sampling import Series, collect

FIELDS: dict[Pass, str] = {"fwd": "fwd_s", "bwd": "bwd_s", "fwd+bwd": "fwd_bwd_s"}
LAUNCH_BOUND = 0.8  # host time to launch over GPU time from which the host sets the pace
OVER_THE_ROOF = 1.05  # a share above this means that the limit or the time is wrong
WALL_CALLS = 10
DISTURBED = 0.10  # share of disturbed readings from which a note says so


def _unheard(phase: str) -> None:
    """Nobody listens."""


def first_call(prepared: Prepared, device: torch.device) -> float:
    """Seconds of one forward, waited for: compilation, plan building and lazy loading included.

    To be called before anything else has launched this case.
    """
    with prepared.around():
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        start = time.perf_counter()
        prepared.launch()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter() - start


def measure(
    prepared: Prepared,
    inputs: G,
    sampling: Sampling = DEFAULT,
    *,
    prepare: Prepare[G] | None = None,
    first_call_s: float | None = None,
    announce: Callable[[str], None] = _unheard,
) -> Timing:
    """Times and weighs one prepared case.

    Args:
        prepared: The case, ready to launch.
        inputs: What it was prepared from.
        sampling: When to stop, at least half the budget used all the same because rounds must be spread
            over time, and what the cache holds. Memory and the device's rates (once per process) come
            on top of the budget.
        prepare: The backend's `prepare`; with it, copies of the inputs are used in turn.
        first_call_s: What `first_call` said when the case ran first; None measures the first launch
            within this function, and says so.
        announce: Called with `weigh` before memory, copies and the device's rates, and with `time`
            when sampling begins: conditions are looked at only then.

    Returns:
        Numbers that can be trusted; every other one is None with its reason in `withheld`.

    Raises:
        Exception: Whatever the library raises when launched, out of memory included.
    """
    case, device, demand = inputs.case, inputs.device, inputs.demand
    notes, withheld = [], []
    announce("weigh")
    if first_call_s is None:
        first_call_s = first_call(prepared, device)
        notes.append("first_call_s: first launch of the measurement, after the parity check's")
    with prepared.around():
        peak = memory.peak(passes.once(prepared, inputs), device, demand.floor_bytes)
    if peak.bytes is None:
        withheld.append(f"peak_bytes: {peak.how}")
    (cold,) = state_of_cache((prepared,), inputs, (prepare,), sampling)
    limits = roofline.rates(device, inputs.dtype)
    clock, calls = clock_for(device), passes.calls((cold,), inputs)[0]
    if case.wants_backward and "bwd" not in calls:
        withheld.append("bwd_s: no input of this case requires a gradient")
    announce("time")
    taken = collect(
        calls,
        clock,
        sampling.budget_s,
        sampling.target_ci,
        lambda series: max(one.half_width for one in series.values()),
    )
    durations: dict[str, Any] = {}
    for name in passes.wanted(prepared, inputs):
        field, series = FIELDS[name], taken[name]
        notes += [f"{field}: {said}" for said in _disturbance(series, device)]
        found = series.duration()
        if isinstance(found, str):
            withheld.append(f"{field}: {found}")
            continue
        if isinstance(clock, CudaClock) and series.host_s > LAUNCH_BOUND * found.median:
            wall_s = clock.wall(calls[name], WALL_CALLS)
            found = replace(found, launch_bound=True, wall_s=wall_s)
        found = _against(found, demand.flops[name], demand.bytes_min[name], limits)
        if found.roofline_share is None:
            notes.append(f"{field}: faster than the measured limit allows ({cold.text}); no share")
        durations[field] = found
    return Timing(
        fwd_s=durations.get("fwd_s"),
        bwd_s=durations.get("bwd_s"),
        fwd_bwd_s=durations.get("fwd_bwd_s"),
        first_call_s=first_call_s,
        peak_bytes=peak.bytes,
        floor_bytes=demand.floor_bytes,
        flops=float(demand.flops["fwd"]),
        clock=clock.text,
        withheld=tuple(withheld),
        cache=cold.text,
        target_ci=sampling.target_ci,
        memory=peak.how if peak.bytes is not None else "",
        rates=limits,
        notes=tuple(notes),
    )


def _against(found: Duration, flops: int, bytes_min: int, limits: Rates) -> Duration:
    """The duration held against the measured limit; no share where it beats the limit."""
    least, bound = roofline.least_s(flops, bytes_min, limits)
    share = least / found.median
    return replace(
        found,
        tflops=flops / found.median / 1e12,
        roofline_share=share if share <= OVER_THE_ROOF else None,
        bound=bound,
    )


def _disturbance(series: Series, device: torch.device) -> list[str]:
    """What a reader must know of the conditions; the readings themselves are all kept."""
    if series.disturbed <= DISTURBED:
        return []
    if device.type == "cuda":
        return ["launching could not keep ahead of the GPU: times may hold waiting for the host"]
    return [f"{series.disturbed:.0%} of the calls lost their core to another process"]
