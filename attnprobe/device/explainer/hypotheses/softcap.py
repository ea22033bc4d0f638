"""A soft cap that is missing or acts in another place than before everything that is added.

Gemma 2 caps the scaled product alone; capping after bias or ALiBi shrinks those too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from attnprobe.device.explainer.seen import Seen, Variant

KIND = "problem"


def variants(seen: Seen) -> Iterator[Variant]:
    """None at all, and a cap on the unscaled product."""
    case, cap = seen.inputs.case, seen.inputs.case.score.softcap
    if cap is None:
        return
    edited = {
        "the soft cap is missing": None,
        "the soft cap is applied before the scale": cap * case.scale,
    }
    for says, softcap in edited.items():
        score = replace(case.score, softcap=softcap)
        yield Variant(says, replace(seen.inputs, case=case.edit(score=score)))
