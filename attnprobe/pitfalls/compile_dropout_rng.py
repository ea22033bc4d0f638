"""Compiled dropout drops other weights than uncompiled dropout under the same seed.

**What happens.** "compile changes my loss": a compiled and an uncompiled run with one seed differ
in every step, by far more than rounding.

**Why.** Inductor replaces random operators by a generator of its own that fuses into kernels; it
draws other numbers than torch's. Both are right. Flash kernels draw inside, and are called alike
from both.

**Experiment.** Attention with dropout on its probabilities, compiled and not, under one seed; the
same with `fallback_random`.

**Remedy.** Compare without dropout, or set `torch._inductor.config.fallback_random = True` while
comparing; it costs speed.

**Versions.** torch 2.0 to 2.13, by design.
"""

from __future__ import annotations

import math

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation

HABIT = "seeded-against-compiled"


def suspect(here: Situation) -> str | None:
    """Only who compares is misled."""
    if here.has(HABIT) and here.case.dropout_p:
        return f"compiled and uncompiled dropout of {here.case.dropout_p:g} under one seed"
    return None


def predict(here: Situation) -> Prediction:
    """Of the largest output, for values without a mean.

    Weights w of a row, each kept with 1 - p and scaled by 1 / (1 - p), give outputs of variance
    sum(w^2) / (1 - p); two independent draws differ with variance 2p sum(w^2) / (1 - p). Their
    quotient is sqrt(2p), and maxima of some thousand elements are within a factor of two of that.
    """
    expected = math.sqrt(2 * here.case.dropout_p)
    return Prediction(
        "value",
        expected / 2,
        expected * 2,
        "two independent draws of weights differ by sqrt(2p) of the output",
        of="difference",
    )


def experiment(here: Situation) -> Experiment:
    """One edit: whose generator the compiled code asks."""
    return Experiment(here.small(f"written/{HABIT}"), here.small(f"mended/{HABIT}"))


PITFALL = Pitfall(
    code="AP086",
    severity="low",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="torch._inductor.config.fallback_random = True  # while comparing; costs speed",
    references=("torch@2.13.0:torch/_inductor/config.py (fallback_random)",),
)
