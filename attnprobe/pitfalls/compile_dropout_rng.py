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
    """Of the largest output.

    A row's output is a mean of Mkv values with random weights: two draws differ by about
    sqrt(p / Mkv) of a value, the largest outputs are a few times sqrt(1 / Mkv): sqrt(p) of them, more
    in the worst row. Rounding of float32 is below 1e-4.
    """
    low = 0.1 * math.sqrt(here.case.dropout_p)
    return Prediction("value", low, 10, "other weights are dropped in each row", of="difference")


def experiment(here: Situation) -> Experiment:
    """One edit: whose generator the compiled code asks."""
    return Experiment(here.arm(f"written/{HABIT}"), here.arm(f"mended/{HABIT}"))


PITFALL = Pitfall(
    code="AP086",
    severity="low",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="torch._inductor.config.fallback_random = True  # while comparing; costs speed",
    references=("torch@2.13.0:torch/_inductor/config.py (fallback_random)",),
)
