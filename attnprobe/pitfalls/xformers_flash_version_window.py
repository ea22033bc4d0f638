"""xFormers cannot be imported beside a flash-attn outside its window.

**What happens.** `import xformers.ops` raises "Requires Flash-Attention version >=2.7.1,<=2.8.4".

**Why.** xFormers 0.0.35 checks the version at import whenever a module `flash_attn` can be found, used
or not.

**Experiment.** The call as it is, and through `scaled_dot_product_attention`.

**Remedy.** A flash-attn inside the window, or none. `XFORMERS_IGNORE_FLASH_VERSION_CHECK=1` skips the
check; then `attnprobe check` says whether the kernels are right.

**Versions.** xFormers 0.0.35: 2.7.1 to 2.8.4. Other releases name other windows.
"""

from __future__ import annotations

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation
from attnprobe.pitfalls import _machine
from attnprobe.remedies import xformers_flash_version


def suspect(here: Situation) -> str | None:
    """By both versions on disk."""
    return _machine.what(_said(here)) if here.calls("xformers") else None


def _said(here: Situation) -> str | None:
    return xformers_flash_version.matches(here.environment, ())


def predict(here: Situation) -> Prediction:
    """Its own words."""
    why = "fmha/flash.py compares versions at import"
    return Prediction("refused", 1, 1, why, "Requires Flash-Attention version")


def experiment(here: Situation) -> Experiment:
    """One edit: the library."""
    return Experiment(here.arm(), here.arm("sdpa-default"))


PITFALL = Pitfall(
    code="AP091",
    severity="high",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix=lambda here: _machine.way_out(_said(here)),
    references=("xformers@0.0.35:xformers/ops/fmha/flash.py",),
    once=True,
)
