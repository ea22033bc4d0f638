"""Reading the longest sequence back from the GPU makes every layer wait.

**What happens.** The GPU runs dry between layers: launches cannot be queued ahead, a profile shows a
cudaStreamSynchronize per layer. Under torch.compile the graph breaks there.

**Why.** `varlen_attn` and flash's varlen functions take the longest length as a Python integer. Computed
from `cu_seqlens` on the device with `.max().item()`, it is known only when all earlier work is done.

**Experiment.** One call with the length read back, and one with the length known; torch counts the
waits.

**Remedy.** Compute lengths, `cu_seqlens` and the maximum in the collate function, on the CPU, once per
batch. A bound that is too large is right as well and costs little.

**Versions.** All; xFormers' `BlockDiagonalMask.from_seqlens` takes a list, and reading a tensor into it
waits in the same way.
"""

from __future__ import annotations

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall, Untestable
from attnprobe.diagnosis.situation import Situation
from attnprobe.pitfalls._dispatch import HALF

HABIT = "lengths-read-back"


def suspect(here: Situation) -> str | None:
    """On a CPU nothing is waited for."""
    if here.has(HABIT) and here.on_cuda:
        return f"the longest sequence is read back {here.subject.calls_per_step} times per step"
    return None


def predict(here: Situation) -> Prediction:
    """One number is read."""
    because = "an .item() returns when everything queued before it has run"
    return Prediction("value", 1, 2, because, of="waits per call")


def experiment(here: Situation) -> Experiment | Untestable:
    """One edit: where the length comes from."""
    case = here.case
    square = case.lengths is not None and case.lengths.q == case.lengths.kv
    if case.storage != "packed" or not square or case.dtype not in HALF or case.groups > 1:
        return Untestable("shown on packed self-attention in 16 bits, which this call is not")
    if here.release("torch") < (2, 10):
        return Untestable("shown with varlen_attn, which torch has from 2.10")
    return Experiment(here.arm(f"written/{HABIT}"), here.arm(f"mended/{HABIT}"))


PITFALL = Pitfall(
    code="AP071",
    severity="medium",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="max_len = max(lengths)  # a list, in the collate function; not cu_seqlens.diff().max().item()",
    references=(
        "Dao-AILab/flash-attention#1664",
        "huggingface/finetrainers#377",
        "torch@2.13.0:torch/nn/attention/varlen.py",
    ),
)
