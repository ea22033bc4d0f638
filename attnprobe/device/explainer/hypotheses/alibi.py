"""ALiBi missing, with other slopes, another sign or another diagonal.

Slopes are 2^(-8 (h + 1) / n) for n heads (arXiv:2108.12409); starting at h = 0, reversed heads, signed
distances and a diagonal in the other corner are what reimplementations get wrong.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch

from attnprobe.device.alibi import slopes
from attnprobe.device.explainer.edits import add
from attnprobe.device.explainer.seen import Seen, Variant

KIND = "problem"


def variants(seen: Seen) -> Iterator[Variant]:
    """Every wrong term in place of the right one."""
    case = seen.inputs.case
    if not case.score.alibi:
        return
    plain = replace(seen.inputs, case=case.edit(score=replace(case.score, alibi=False)))
    yield Variant("ALiBi is missing", plain)
    if case.lengths is not None:
        return
    device = seen.inputs.q.device
    right = slopes(case.Hq).to(device)[:, None, None]
    i = torch.arange(case.Mq, device=device)[:, None]
    j = torch.arange(case.Mkv, device=device)[None]
    distance = (i + case.Mkv - case.Mq - j).double()
    first = 2.0 ** (-8.0 * torch.arange(case.Hq, device=device) / case.Hq).double()
    wrong = {
        "ALiBi has the wrong sign": right * distance.abs(),
        "ALiBi's slopes are in reverse order": -right.flip(0) * distance.abs(),
        "ALiBi's slopes start at 1 instead of 2^(-8 / Hq)": -first[:, None, None] * distance.abs(),
        "every head has the first head's ALiBi slope": -right[:1] * distance.abs(),
        "ALiBi's distance is signed": -right * distance,
        "ALiBi's diagonal starts top-left": -right * (i - j).abs().double(),
        "ALiBi is multiplied by the scale": -right * distance.abs() * case.scale,
    }
    for says, term in wrong.items():
        yield Variant(says, add(plain, term.expand(case.Hq, case.Mq, case.Mkv)[None]))
