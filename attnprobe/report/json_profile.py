"""What `profile` says, as JSON: times in seconds, memory in bytes, ratios as they are."""

from __future__ import annotations

from attnprobe.core.jsonio import encode
from attnprobe.core.report import Report
from attnprobe.report.compose import sweeps
from attnprobe.report.compose.costs import Cost, costs
from attnprobe.report.compose.crossovers import Crossover, crossovers
from attnprobe.report.compose.longest import Longest
from attnprobe.report.compose.scaling import Scaling, scalings
from attnprobe.report.compose.sweeps import Sweep
from attnprobe.report.json_trial import Json, trial


def timed(cost: Cost) -> Json:
    """A timing with its ratio to a rival, and memory wherever it was measured."""
    duration = cost.duration or cost.timing.fwd_s
    versus = encode(cost.versus)
    for name in ("fwd", "bwd", "fwd_bwd"):
        found = getattr(cost.versus, name, None)
        if found is not None:
            versus[name]["verdict"] = found.verdict
    return {
        **trial(cost.record),
        **encode(cost.timing),
        "peak_bytes": cost.memory.peak_bytes,
        "memory": cost.memory.memory,
        "tflops": duration.tflops if duration else None,
        "roofline_share": duration.roofline_share if duration else None,
        "bound": duration.bound if duration else None,
        "launch_bound": duration.launch_bound if duration else None,
        "kernels": list(cost.kernels),
        "unexpected_kernel": cost.unexpected_kernel,
        "forward_alone": cost.forward_alone,
        "versus": versus,
    }


def along_sweeps(report: Report) -> Json:
    """Exponents and crossovers of every sweep in the session."""
    by_case = costs(report)
    swept, _ = sweeps.find(by_case)
    return {
        "scaling": [_scaling(each) for sweep in swept for each in scalings(sweep, by_case)],
        "crossovers": [_crossover(each) for sweep in swept for each in crossovers(sweep, by_case)],
    }


def _sweep(sweep: Sweep) -> Json:
    cases = [{"value": value, "case": case.id} for value, case in sweep.points.items()]
    return {"sweep": sweep.title, "field": sweep.field.name, "cases": cases}


def _scaling(found: Scaling) -> Json:
    fit = found.fit
    return {
        **_sweep(found.sweep),
        "backend": found.backend,
        "quantity": found.quantity,
        "exponent": fit.exponent if fit else None,
        "low": fit.low if fit else None,
        "high": fit.high if fit else None,
        "local": [{"value": n, "exponent": p} for n, p in fit.local.items()] if fit else [],
        "points": [{"value": n, "cost": cost} for n, cost in found.points],
        "left_out": list(found.left_out),
        "withheld": found.withheld,
    }


def _crossover(found: Crossover) -> Json:
    return {
        **_sweep(found.sweep),
        "faster_below": found.below,
        "faster_above": found.above,
        "low": found.low,
        "high": found.high,
    }


def limit(found: Longest) -> Json:
    """The longest length that ran, and what became of a longer one."""
    return {
        "backend": found.backend,
        "case": {"id": found.case.id, "label": found.case.label},
        "field": found.field,
        "fits": found.fits,
        "fails": found.fails,
        "peak_bytes": found.peak_bytes,
        "limited_by": "time" if found.limited_by_time else found.ended.kind,
        "outcome": encode(found.ended),
    }
