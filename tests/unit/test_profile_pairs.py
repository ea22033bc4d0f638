"""Every two features that a call can have meet in some case: most bugs of dispatch need two, few three.

Source: Kuhn, Wallace, Gallo, "Software Fault Interactions and Implications for Software Testing", IEEE
Transactions on Software Engineering 30 (2004), table 3: pairs trigger 70% to 97% of the failures.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import pytest

from attnprobe import profiles
from attnprobe.core.case import Case


def _masked(case: Case) -> bool:
    bias = case.score.bias
    dense = not case.mask.is_none and not case.mask.is_causal
    return dense or case.mask_form == "dense-bool" or (bias is not None and bias.forbids)


def _biased(case: Case) -> bool:
    return case.score.bias is not None and not case.score.bias.forbids


FEATURES: dict[str, Callable[[Case], bool]] = {
    "one query": lambda c: c.Mq == 1,
    "few queries": lambda c: 1 < c.Mq <= 16,
    "more queries than keys": lambda c: c.Mq > c.Mkv,
    "many keys": lambda c: c.Mkv > 512,
    "grouped heads": lambda c: c.groups > 1,
    "more heads than queries": lambda c: c.Hq > c.Mq,
    "wide heads": lambda c: c.K > 128,
    "odd head dim": lambda c: c.K % 8 != 0,
    "other value dim": lambda c: c.Kv != c.K,
    "own scale": lambda c: c.score.scale is not None and c.score.scale > 0,
    "negative scale": lambda c: c.score.scale is not None and c.score.scale < 0,
    "causal": lambda c: c.mask.is_causal and c.mask_form == "best" and not _biased(c),
    "boolean mask": lambda c: _masked(c) and not _biased(c),
    "bias": _biased,
    "dropout": lambda c: c.dropout_p > 0,
    "transposed memory": lambda c: c.layout in ("BMHK", "kv-cache", "mixed", "packed-qkv"),
    "odd memory": lambda c: c.layout in ("strided", "unaligned", "expanded-kv"),
    "unusual numbers": lambda c: c.family in ("large-logits", "very-negative-lse", "rising"),
    "forward alone": lambda c: not c.wants_backward,
    "16 bits": lambda c: c.dtype != "float32",
}

NEVER = {
    ("one query", "few queries"),
    ("one query", "more queries than keys"),
    ("more queries than keys", "many keys"),  # in full, with thousands of each
    ("own scale", "negative scale"),
    ("causal", "boolean mask"),
    ("causal", "bias"),
    ("boolean mask", "bias"),
    ("transposed memory", "odd memory"),
    ("wide heads", "odd head dim"),
    ("one query", "dropout"),
    ("many keys", "dropout"),  # read off where keys are no more than columns
    ("dropout", "forward alone"),
    ("dropout", "unusual numbers"),
}


def _missing(level: str) -> list[str]:
    """Pairs that no case has."""
    cases = profiles.load(f"check-{level}").cases
    has = {name: {c.id for c in cases if test(c)} for name, test in FEATURES.items()}
    return [
        f"{one} with {other}"
        for one, other in combinations(FEATURES, 2)
        if (one, other) not in NEVER and not has[one] & has[other]
    ]


@pytest.mark.parametrize("level", ["quick", "full"])
def test_every_two_features_meet(level: str) -> None:
    """In a case of the level."""
    assert _missing(level) == []
