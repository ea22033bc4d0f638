"""Times of a GPU that is throttled, shared or sliced are not the kernel's.

**What happens.** Runs differ by 10 to 40%, and whoever is measured second loses.

**Why.** Clocks fall at a power or temperature limit, other processes take their turns, and a MIG slice
has a part of the SMs and of the bandwidth.

**Experiment.** None on such a machine: that is what cannot be had there.

**Remedy.** Stop what else runs, let the GPU cool, and compare only what was measured in turns, as
`attnprobe compare` does.

**Versions.** All.
"""

from __future__ import annotations

from collections.abc import Iterator

from attnprobe.core.diagnosis import Prediction
from attnprobe.diagnosis.rule import Pitfall, Untestable
from attnprobe.diagnosis.situation import Situation
from attnprobe.pitfalls import _machine
from attnprobe.remedies import gpu_mig, gpu_shared, gpu_throttled


def suspect(here: Situation) -> str | None:
    """What NVML says."""
    said = [_machine.what(text) for text in _said(here)] if here.on_cuda else []
    return "; ".join(filter(None, said)) or None


def _said(here: Situation) -> Iterator[str]:
    for remedy in (gpu_throttled, gpu_shared, gpu_mig):
        text = remedy.matches(here.environment, ())
        if text:
            yield text


def predict(here: Situation) -> Prediction:
    """What such machines were seen to do."""
    return Prediction("time", 1.1, 1.4, "run to run, as users report it of shared GPUs")


def experiment(here: Situation) -> Untestable:
    """It takes another state of the machine."""
    return Untestable(
        "needs this GPU idle and cool: `attnprobe profile` then and now, and `compare`"
    )


PITFALL = Pitfall(
    code="AP120",
    severity="medium",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix=lambda here: "; ".join(map(_machine.way_out, _said(here))),
    references=("https://docs.nvidia.com/deploy/nvml-api/group__nvmlClocksEventReasons.html",),
    once=True,
)
