"""The model's soft cap on logits is left out, since SDPA has no argument for it.

Source: torch@2.13.0:torch/nn/functional.py (the signature of scaled_dot_product_attention).
"""

from __future__ import annotations

from dataclasses import replace

from attnprobe.core.case import Case
from attnprobe.device.habits._told import Told


def _uncapped(case: Case) -> Case:
    return case.edit(score=replace(case.score, softcap=None))


WRITTEN = Told("written/softcap-dropped", _uncapped, lambda case: "sdpa-default")
