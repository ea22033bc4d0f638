"""A learned bias over frozen q, k and v fails in the backward, or takes the CUDA context with it.

**What happens.** Only on CUDA, and only where nothing but the bias is trained (adapters over a frozen
backbone): an illegal memory access, after which every later call of the process fails, or, with more
than one head, "LSE is not correctly aligned".

**Why.** The forward keeps the log-sum-exp if q, k or v want gradients; nobody looks at the bias. The
backward of the memory-efficient kernel then gets an empty tensor, whose strides happen to pass its
checks with one head. xFormers asks the same question of q, k and v alone, and its output carries no
graph.

**Experiment.** The call against the same whose q wants a gradient as well.

**Remedy.** `q.requires_grad_()`, and drop that gradient; or the math kernel.

**Versions.** Reported for torch 2.6, both faces seen with 2.11 on an H200; a fix is dated June 2026.
xFormers 0.0.35.
"""

from __future__ import annotations

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation

TAKES = ("sdpa-default", "sdpa-mem-efficient", "xformers-default", "xformers-cutlass")
SAID = "illegal memory access|CUDA error|process died|LSE is not correctly|does not require grad"


def suspect(here: Situation) -> str | None:
    """The kernels that can give a bias its gradient, on a GPU."""
    case = here.case
    if here.on_cuda and here.backend in TAKES and case.wants_bias_grad and not case.grads:
        return "attn_mask.requires_grad, and none of q, k, v does"
    return None


def predict(here: Situation) -> Prediction:
    """Nothing to read the statistics from."""
    return Prediction("refused", 1, 1, "the forward keeps no log-sum-exp for q, k, v frozen", SAID)


def experiment(here: Situation) -> Experiment:
    """One edit: whether q wants a gradient."""
    return Experiment(here.arm(), here.arm(grads=("q",)))


PITFALL = Pitfall(
    code="AP037",
    severity="high",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="q = q.requires_grad_()  # before the call; or with sdpa_kernel(SDPBackend.MATH): ...",
    references=(
        "pytorch#148476",
        "pytorch#188302",
        "xformers@0.0.35:xformers/ops/fmha/__init__.py (_memory_efficient_attention)",
    ),
)
