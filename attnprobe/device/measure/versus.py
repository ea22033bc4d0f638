"""Two backends on the same inputs, timed in the same rounds, pass by pass."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attnprobe.core.case import Pass
from attnprobe.core.sampling import Sampling
from attnprobe.core.timing import Ratio, Versus
from attnprobe.device.backends.base import Prepared
from attnprobe.device.measure import passes
from attnprobe.device.measure.clocks import Call, clock_for
from attnprobe.device.measure.cold import Prepare, state_of_cache
from attnprobe.device.measure.given import G
from attnprobe.device.measure.paired import compare

FIELDS: dict[Pass, str] = {"fwd": "fwd", "bwd": "bwd", "fwd+bwd": "fwd_bwd"}
_OF, _TO = "of", "to"


def versus(
    of: Prepared,
    to: Prepared,
    rival: str,
    inputs: G,
    sampling: Sampling,
    prepares: tuple[Prepare[G] | None, Prepare[G] | None] = (None, None),
) -> Versus:
    """How much longer `of` takes than `to`.

    Args:
        of: The case, prepared by the backend that is judged.
        to: The same case, prepared by its rival.
        rival: The rival's name.
        inputs: What both were prepared from.
        sampling: The budget is shared by the passes; `target_ci` is the half width of log(ratio).
        prepares: `prepare` of both backends, for copies of the inputs; None forbids copies.

    Returns:
        A ratio for every pass that both can run, else the reason.

    Raises:
        Exception: Whatever a library raises when launched, out of memory included.
    """
    device = inputs.device
    mine, theirs = passes.calls(state_of_cache((of, to), inputs, prepares, sampling), inputs)
    found: dict[str, Any] = {}
    withheld: list[str] = []
    wanted = passes.wanted(of, inputs)
    for name in wanted:
        if name not in theirs:
            withheld.append(f"{FIELDS[name]}: {rival} has no such pass here")
            continue
        share = sampling.budget_s / len(wanted)
        calls: Mapping[str, Call] = {_OF: mine[name], _TO: theirs[name]}
        compared = compare(calls, _TO, clock_for(device), share, sampling.target_ci)
        ratio: Ratio | None = compared.ratios.get(_OF)
        if ratio is None:
            reasons = (said.partition(": ")[2] for said in compared.withheld)
            withheld.append(f"{FIELDS[name]}: {'; '.join(reasons)}")
        else:
            found[FIELDS[name]] = ratio
    return Versus(rival, **found, withheld=tuple(withheld))
