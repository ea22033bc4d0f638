"""xFormers' memory_efficient_attention does not run on the CPU.

**What happens.** `NotImplementedError`: no operator found. On a torch without CUDA the message
names `ckF` alone, an operator for AMD GPUs, which helps nobody.

**Why.** The CPU operators were removed in 0.0.22. The list to choose from is that of CUDA where
torch has CUDA, and else that of ROCm.

**Experiment.** The call on the CPU; SDPA.

**Remedy.** `scaled_dot_product_attention` on the CPU; it takes (B, H, M, K).

**Versions.** xFormers 0.0.22 and later.
"""

from __future__ import annotations

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation


def suspect(here: Situation) -> str | None:
    """A CPU."""
    return (
        "tensors on the CPU go to xFormers" if here.calls("xformers") and not here.on_cuda else None
    )


def predict(here: Situation) -> Prediction:
    """Seen or not: every operator names the devices that it supports."""
    return Prediction("refused", 1, 1, "no operator of xFormers is made for CPUs", of="device=cpu")


def experiment(here: Situation) -> Experiment:
    """One edit: who is called."""
    return Experiment(here.small(), here.small("sdpa-default"))


PITFALL = Pitfall(
    code="AP102",
    severity="low",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix=(
        "q, k, v = (t.transpose(1, 2) for t in (q, k, v))  # (B, M, H, K) -> (B, H, M, K)\n"
        "out = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2)"
    ),
    references=("xformers@0.0.35:xformers/ops/fmha/dispatch.py", "xformers CHANGELOG 0.0.22"),
)
