"""out.sum().backward() makes the kernel copy a gradient that no training sends.

**What happens.** A benchmark's backward takes more time and one more output of memory than the model's;
cuDNN warns of strides.

**Why.** The gradient of a sum is one number, expanded with strides of 0. Kernels want the innermost
stride to be 1 and make a dense copy first. The gradient that a layer above sends is dense.

**Experiment.** Peak memory of forward and backward with the expanded gradient and with a dense one.

**Remedy.** `out.backward(torch.randn_like(out))`, the gradient drawn before the clock starts.

**Versions.** CUDA kernels of torch. The CPU's flash kernel reads the expanded gradient as it is: no copy
was seen there.
"""

from __future__ import annotations

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation

HABIT = "backward-of-sum"


def suspect(here: Situation) -> str | None:
    """Fused kernels on a GPU."""
    case = here.case
    dense = case.score.bias is not None or case.mask_form != "best" or case.lengths is not None
    fused = case.dtype in ("float16", "bfloat16") and not case.dropout_p and not dense
    if not here.on_cuda or not here.has(HABIT) or not case.wants_backward or not fused:
        return None
    if not here.calls("sdpa-default", "sdpa-flash", "sdpa-cudnn"):
        return None
    size = 2 * case.B * case.Hq * case.Mq * case.Kv
    return f"the gradient of out.sum() has strides of 0: {size / 2**20:.1f} MiB are copied first"


def predict(here: Situation) -> Prediction:
    """One copy; the peak lies in the backward, where it is alive."""
    why = "one dense copy of the output's gradient"
    return Prediction("value", 0.9, 1.1, why, "copies of the output beyond a dense gradient's")


def experiment(here: Situation) -> Experiment:
    """One edit: the gradient."""
    return Experiment(here.arm(f"written/{HABIT}"), here.arm(f"mended/{HABIT}"))


PITFALL = Pitfall(
    code="AP118",
    severity="medium",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="dout = torch.randn_like(out); ...; out.backward(dout)",
    references=("pytorch#138529", "pytorch#141147"),
)
