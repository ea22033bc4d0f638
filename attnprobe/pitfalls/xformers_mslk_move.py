"""xFormers after 0.0.35 has no attention without MSLK.

**What happens.** `xformers.ops` imports and has no `memory_efficient_attention`: AttributeError.

**Why.** Attention moved to the package MSLK. `xformers.ops` takes it from there inside `except
ModuleNotFoundError`, so that its absence is silent. `mslk` 0.0.0 is an empty placeholder; the kernels
are in `mslk-cuda`.

**Experiment.** The call as it is, and through `scaled_dot_product_attention`.

**Remedy.** `pip install mslk-cuda` in the release for this torch, or xformers==0.0.35.

**Versions.** xFormers after 0.0.35.
"""

from __future__ import annotations

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation
from attnprobe.pitfalls import _machine
from attnprobe.remedies import xformers_mslk


def suspect(here: Situation) -> str | None:
    """By the distributions on disk."""
    return _machine.what(_said(here)) if here.calls("xformers") else None


def _said(here: Situation) -> str | None:
    return xformers_mslk.matches(here.environment, ())


def predict(here: Situation) -> Prediction:
    """The name of the module that is missing."""
    return Prediction("refused", 1, 1, "xformers.ops re-exports what it finds in mslk", "mslk")


def experiment(here: Situation) -> Experiment:
    """One edit: the library."""
    return Experiment(here.arm(), here.arm("sdpa-default"))


PITFALL = Pitfall(
    code="AP092",
    severity="medium",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix=lambda here: _machine.way_out(_said(here)),
    references=("facebookresearch/xformers@ca6d2aa", "xformers#1399"),
    once=True,
)
