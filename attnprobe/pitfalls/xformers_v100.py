"""xFormers has no kernels for V100 and older.

**What happens.** After an upgrade every operator refuses on a V100, or "no kernel image is available".

**Why.** 0.0.31 follows torch, whose builds for CUDA 12.8 and later leave out compute capability 7.0.

**Experiment.** The call as it is, and through torch's memory-efficient kernel.

**Remedy.** xformers==0.0.30 with the torch it names and float16, or torch's memory-efficient SDPA.

**Versions.** xFormers 0.0.31 and later below compute capability 7.5.
"""

from __future__ import annotations

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation
from attnprobe.remedies import xformers_capability


def suspect(here: Situation) -> str | None:
    """By release and capability."""
    if not here.on_cuda or not here.calls("xformers") or here.capability is None:
        return None
    if not xformers_capability.ends_above(here.release("xformers"), here.capability):
        return None
    major, minor = here.capability
    version = here.versions["xformers"]
    return f"xformers {version} holds nothing for compute capability {major}.{minor}"


def predict(here: Situation) -> Prediction:
    """Whatever its words are: the check, or the launch, fails."""
    return Prediction("refused", 1, 1, "the changelog of 0.0.31 drops V100 and older")


def experiment(here: Situation) -> Experiment:
    """One edit: the library."""
    return Experiment(here.arm(), here.arm("sdpa-mem-efficient"))


PITFALL = Pitfall(
    code="AP100",
    severity="medium",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="pip install xformers==0.0.30  # and float16; or torch's memory-efficient SDPA",
    references=("facebookresearch/xformers CHANGELOG, 0.0.31",),
    once=True,
)
