"""An activated flash implementation raises where torch's own kernel runs.

**What happens.** After `activate_flash_attention_impl("FA4")` calls raise "dropout_p must be 0", or ask
for another compute capability; with a package that torch was not written for "too many values to
unpack".

**Why.** Activation replaces the CUDA kernels of aten's flash operators in the whole process. The
selection before them asks torch's own conditions, so that calls which the new kernel cannot take still
reach it, and nothing falls back.

**Experiment.** The call as it is, and with torch's own flash kernel.

**Remedy.** `restore_flash_attention_impl()` around such calls, or no dropout.

**Versions.** torch 2.11 and later. FA3: compute capability 9.x; FA4: 9.x and 10.x; neither has dropout.
flash-attn-4 4.0.0b36 beside torch 2.11.0 activates, and its first call fails.
"""

from __future__ import annotations

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall, Untestable
from attnprobe.diagnosis.situation import Situation

CAPABILITIES = {"sdpa-fa3": (9,), "sdpa-fa4": (9, 10)}
PACKAGES = {"sdpa-fa3": "flash-attn-3", "sdpa-fa4": "flash-attn-4"}


def suspect(here: Situation) -> str | None:
    """Dropout, a GPU it is not made for, or a pair of releases that was seen to fail."""
    name = here.backend
    if not here.on_cuda or name not in PACKAGES:
        return None
    if here.case.dropout_p:
        return f"{name} has no dropout, and dropout_p is {here.case.dropout_p:g}"
    if here.capability and here.capability[0] not in CAPABILITIES[name]:
        major, minor = here.capability
        return f"{name} has no kernels for compute capability {major}.{minor}"
    version = here.versions.get(PACKAGES[name], "")
    if here.release("torch")[:2] == (2, 11) and version == "4.0.0b36":
        return f"flash-attn-4 {version} returns more than torch 2.11 unpacks"
    return None


def predict(here: Situation) -> Prediction:
    """Words of torch's _fa3.py and _fa4.py, or Python's."""
    why = "the override checks after the selection has chosen it"
    return Prediction("refused", 1, 1, why, "unsupported|dropout_p must be 0|capability|unpack")


def experiment(here: Situation) -> Experiment | Untestable:
    """One edit: the implementation."""
    package = PACKAGES[here.backend]
    if not here.release(package):
        return Untestable(f"{package} is not installed here: beside it this runs as it is")
    return Experiment(here.arm(), here.arm("sdpa-flash"))


PITFALL = Pitfall(
    code="AP110",
    severity="medium",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="torch.nn.attention.restore_flash_attention_impl()  # before calls with dropout",
    references=(
        "torch@2.13.0:torch/nn/attention/_fa4.py",
        "torch@2.13.0:torch/nn/attention/_fa3.py",
        "flash-attention#1377",
    ),
)
