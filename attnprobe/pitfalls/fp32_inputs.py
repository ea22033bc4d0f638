"""float32 inputs leave the tensor cores idle.

**What happens.** Attention in float32 takes five to twenty times as long as in bfloat16 on a GPU with
tensor cores, and no flash or cuDNN kernel takes it at all: the memory-efficient or the math kernel runs.

**Why.** Flash and cuDNN kernels exist for 16-bit types only. The kernels left multiply in float32, by
default without tensor cores, at a tenth of their rate; TF32 is off unless asked for.

**Experiment.** The same call with bfloat16 inputs.

**Remedy.** Autocast around the forward, or a model in bfloat16 with float32 master weights.

**Versions.** All of torch and xFormers; GPUs from Volta on.
"""

from __future__ import annotations

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation


def suspect(here: Situation) -> str | None:
    """A GPU and float32; a CPU has no tensor cores to leave idle."""
    if here.on_cuda and here.case.dtype == "float32":
        return "q, k and v are float32: no flash or cuDNN kernel takes them"
    return None


def predict(here: Situation) -> Prediction:
    """A short call is bound by its launch, whatever its type; long ones by the rate of their matmuls."""
    case = here.case
    work = case.B * case.Hq * case.Mq * case.Mkv * case.K
    if work < 2**31:
        return Prediction("time", 1.3, 20, "short: launches and memory traffic weigh in")
    return Prediction(
        "time", 5, 20, "float32 FMA against bfloat16 tensor cores, 67 : 989 TFLOP/s (H200)"
    )


def experiment(here: Situation) -> Experiment:
    """One edit: the dtype."""
    return Experiment(here.arm(), here.arm(dtype="bfloat16"))


PITFALL = Pitfall(
    code="AP054",
    severity="critical",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix='with torch.autocast("cuda", torch.bfloat16): ...  # q, k, v reach the kernel as bfloat16',
    references=(
        "xformers#700",
        "torch@2.13.0:aten/src/ATen/native/transformers/cuda/sdp_utils.cpp",
    ),
)
