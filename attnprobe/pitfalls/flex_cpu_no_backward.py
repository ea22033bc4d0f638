"""flex_attention has no backward on the CPU.

**What happens.** `NotImplementedError` as soon as a tensor that requires a gradient comes in: in
unit tests, or on a laptop, where the model on the GPU trains.

**Why.** The C++ template that inductor fills in for CPUs is a forward; a check up front says so.

**Experiment.** The call on the CPU with gradients; SDPA with the same mask.

**Remedy.** SDPA with `create_mask(...)` on the CPU, or `torch.no_grad()` in tests of the forward.

**Versions.** torch 2.6 to 2.13; before it not even a forward.
"""

from __future__ import annotations

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation


def suspect(here: Situation) -> str | None:
    """A CPU and a gradient."""
    if here.calls("flex") and not here.on_cuda and here.case.wants_backward:
        return "gradients are asked of flex_attention on the CPU"
    return None


def predict(here: Situation) -> Prediction:
    """Seen or not."""
    return Prediction("refused", 1, 1, "torch checks the device first", of="backward on CPU")


def experiment(here: Situation) -> Experiment:
    """One edit: who is called."""
    return Experiment(here.small(), here.small("sdpa-default"))


PITFALL = Pitfall(
    code="AP082",
    severity="low",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix=(
        "mask = create_mask(mask_mod, B, H, Mq, Mkv, device=q.device)\n"
        "out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)"
    ),
    references=("torch@2.13.0:torch/nn/attention/flex_attention.py (_validate_device)",),
)
