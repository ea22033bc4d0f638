"""flex_attention's debug flag silences the warning that nothing is compiled.

**What happens.** flex_attention runs unfused, holds every score in memory, and says nothing.
Gradients may be wrong: the library's own text says that the flag does not work with the backward.

**Why.** `_FLEX_ATTENTION_DISABLE_COMPILE_DEBUG = True` lets breakpoints work in a score_mod. It
skips the library's own tracing, and with it the warning for calls outside `torch.compile`.

**Experiment.** Warnings of an uncompiled call with the flag; without it.

**Remedy.** Take the assignment out, and compile the call.

**Versions.** Read in torch 2.13; a torch that has no such flag ignores the assignment.
"""

from __future__ import annotations

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation

HABIT = "flex-debug-flag"


def suspect(here: Situation) -> str | None:
    """The flag and flex."""
    return "the debug flag is on" if here.has(HABIT) and here.calls("flex") else None


def predict(here: Situation) -> Prediction:
    """None is heard, where one is heard without the flag."""
    return Prediction("value", 0, 0, "the flag skips the warning for this call", of="warnings")


def experiment(here: Situation) -> Experiment:
    """One edit: the flag."""
    return Experiment(here.small(f"written/{HABIT}"), here.small(f"mended/{HABIT}"))


PITFALL = Pitfall(
    code="AP040",
    severity="low",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="out = torch.compile(flex_attention)(q, k, v)  # and no _FLEX_ATTENTION_DISABLE_COMPILE_DEBUG",
    references=("torch@2.13.0:torch/nn/attention/flex_attention.py",),
)
