"""Whether cuDNN's attention is right depends on the cuDNN that was loaded.

**What happens.** NaN, illegal addresses or another kernel than before, on one machine and not on the
next, with the same packages installed.

**Why.** torch asks the loaded library for its version and switches attention by it: before 9.15.1 it
is not the first choice, since lengths that 128 does not divide were wrong. A cuDNN found in
LD_LIBRARY_PATH comes before the one of torch's wheel, and torch is then run with a library that it was
not tested with.

**Experiment.** The call on cuDNN against the same on a kernel of torch's own.

**Remedy.** Take the system's cuDNN out of LD_LIBRARY_PATH; else select kernels without cuDNN.

**Versions.** cuDNN 8.9 to 9.26; the gates are torch@2.13.0's.
"""

from __future__ import annotations

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation
from attnprobe.pitfalls import _dispatch

WHEELS = ("nvidia-cudnn-cu13", "nvidia-cudnn-cu12")
ODD_LENGTHS = (9, 15, 1)
"""First release that is right for keys which 128 does not divide."""


def suspect(here: Situation) -> str | None:
    """A call that cuDNN would take, and a library that is another than the wheel's or too old for it."""
    calls = here.backend == "sdpa-cudnn" or (
        here.calls("sdpa-default") and _dispatch.cudnn_runs(here)
    )
    loaded = _loaded(here)
    if not calls or not here.on_cuda or not loaded:
        return None
    said = ".".join(map(str, loaded))
    brought = next((v for name in WHEELS if (v := here.release(name)[:3])), loaded)
    if brought != loaded:
        return f"cuDNN {said} is loaded, the wheel brought {'.'.join(map(str, brought))}"
    if loaded < ODD_LENGTHS and here.case.Mkv % 128:
        return f"cuDNN {said} is loaded, and 128 does not divide Mkv={here.case.Mkv}"
    return None


def predict(here: Situation) -> Prediction:
    """What reports of such machines say."""
    because = "before 9.15.1 lengths that 128 does not divide were wrong; others were never tested"
    return Prediction("wrong", 1, 1, because)


def experiment(here: Situation) -> Experiment:
    """One edit: the kernel. Flash takes no mask tensor, and the memory-efficient one no shared heads."""
    masked, grouped = _dispatch.has_mask_tensor(here.case), here.case.groups > 1
    other = "sdpa-math" if masked and grouped else "sdpa-mem-efficient" if masked else "sdpa-flash"
    return Experiment(here.arm("sdpa-cudnn"), here.arm(other))


def _loaded(here: Situation) -> tuple[int, ...]:
    torch = here.environment.torch
    parts = (torch.cudnn if torch else "").split(".")
    return tuple(int(part) for part in parts if part.isdigit())


PITFALL = Pitfall(
    code="AP034",
    severity="high",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="unset LD_LIBRARY_PATH  # or: with sdpa_kernel([FLASH_ATTENTION, EFFICIENT_ATTENTION]): ...",
    references=(
        "pytorch#169849",
        "pytorch#138531",
        "huggingface/transformers#48163",
        "torch@2.13.0:aten/src/ATen/native/transformers/cuda/sdp_utils.cpp",
    ),
    once=True,
)
