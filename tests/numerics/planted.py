"""Cases on which a planted bug can show."""

from __future__ import annotations

import torch

from attnprobe.core.score import Score
from attnprobe.device.inputs import Inputs, Outputs
from tests.numerics.random_cases import draw

NEEDS: dict[str, dict[str, str]] = {
    "causal-off-by-one": {"kind": "causal-tl"},
    "other-alignment": {"kind": "causal-br"},
    "window-off-by-one": {"kind": "window"},
    "padding-off-by-one": {"kind": "padding"},
    "finite-mask": {"kind": "empty-rows"},
    "leak-at-tile-edge": {"kind": "causal-br"},
    "leak-of-one-pair": {"kind": "causal-tl"},
    "no-maximum": {"family": "large"},
    "dbias-of-one-head": {"kind": "bias-11MN"},
    "dbias-scaled": {"kind": "bias-BHMN"},
}


def subject(bug: str, seed: int, dtype: str) -> Inputs:
    """A random case of a kind and family in which the bug matters."""
    score = Score(softcap=2.0) if bug.startswith("softcap") else None
    needs = NEEDS.get(bug, {})
    family = needs.get("family", ("normal", "outlier", "uniform")[seed % 3])
    return draw(seed, dtype, family=family, kind=needs.get("kind", "none"), score=score)


def changes(a: Outputs, b: Outputs) -> bool:
    """True when any bit differs."""
    pairs = ((getattr(a, n), getattr(b, n)) for n in ("out", "lse", "dq", "dk", "dv", "dbias"))
    return any(x is not None and not torch.equal(x, y) for x, y in pairs)
