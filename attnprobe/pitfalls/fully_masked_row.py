"""A query that may attend no key is NaN or the mean of all values, not 0.

**What happens.** One empty sample, or a left-padded one with a causal mask, turns the loss into NaN, for
NaN spreads through every gradient; with finfo.min in place of -inf there is no NaN and such rows
silently average all values, padding included.

**Why.** A softmax over -inf alone is 0 / 0. A finite mask value makes all logits of the row equal. SDPA
returns 0 since torch 2.5, as flash-attn and FlexAttention do; code written out and
nn.MultiheadAttention with `need_weights=True` do not.

**Experiment.** The call as it is written against the reference, whose empty rows are 0; the same call
by SDPA (nn.MultiheadAttention: with `need_weights=False`).

**Remedy.** SDPA with a boolean mask, `need_weights=False`; and leave empty samples out.

**Versions.** SDPA before 2.5 gives NaN too; nn.MultiheadAttention with weights still in 2.13.
"""

from __future__ import annotations

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation
from attnprobe.pitfalls import _masks

BY_HAND, FINITE, WEIGHTS = "softmax-by-hand", "mask-of-finfo-min", "mha-returns-weights"
SHOWS = {BY_HAND: "NaN", FINITE: "the mean of all values", WEIGHTS: "NaN"}
BACKENDS = {"eager": BY_HAND, "mha-need-weights": WEIGHTS}
"""Backends that are such code."""


def _habit(here: Situation) -> str:
    named = (habit for habit in SHOWS if here.has(habit))
    return next(named, BACKENDS.get(here.backend, ""))


def suspect(here: Situation) -> str | None:
    """Rows without keys, and code that does not make them 0."""
    rows = _masks.empty_rows(here.case)
    if rows and _habit(here) and here.case.score.softcap is None:
        return f"{rows} queries may attend no key ({_habit(here)})"
    return None


def predict(here: Situation) -> Prediction:
    """By what the code puts in place of a masked logit."""
    habit = _habit(here)
    cause = "all logits are equal" if habit == FINITE else "softmax of -inf alone is 0 / 0"
    return Prediction("wrong", 1, 1, f"{cause}: such rows hold {SHOWS[habit]}")


def experiment(here: Situation) -> Experiment:
    """One edit: who masks."""
    habit = _habit(here)
    right = "mha" if habit == WEIGHTS else "sdpa-default"
    return Experiment(here.arm(f"written/{habit}"), here.arm(right))


PITFALL = Pitfall(
    code="AP026",
    severity="high",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="F.scaled_dot_product_attention(q, k, v, attn_mask=keep)  # keep is boolean; empty rows give 0",
    references=(
        "pytorch#103749",
        "pytorch#133882",
        "pytorch#41508",
        "pytorch#160064",
        "torch@2.13.0:torch/nn/functional.py",
    ),
)
