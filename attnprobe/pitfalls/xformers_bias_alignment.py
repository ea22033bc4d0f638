"""xFormers refuses a tensor bias whose rows are not a multiple of 16 bytes.

**What happens.** `attn_bias.stride(-2) % 8 != 0` for lengths that are no multiple of eight: often
only in evaluation, or with the last, shorter batch.

**Why.** CUTLASS loads 128 bits at a time: eight 2-byte or four 4-byte elements. xFormers asks for
strides that are multiples of that, and does not copy.

**Experiment.** A contiguous tensor of (B, H, Mq, Mkv); the same values as a slice of longer rows.

**Remedy.** Allocate rows rounded up to eight elements and slice them. Best no tensor at all: a mask
class.

**Versions.** xFormers from 0.0.18 on; before it the shape itself had to be a multiple.
"""

from __future__ import annotations

from attnprobe.core.case import ELEMENT_BYTES
from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation

HABIT = "xformers-unpadded-bias"


def suspect(here: Situation) -> str | None:
    """A stride that 128-bit loads cannot have; the stride between heads is a multiple of it."""
    over = here.case.Mkv * ELEMENT_BYTES[here.case.dtype] % 16
    if here.has(HABIT) and here.calls("xformers") and over:
        return f"rows of Mkv={here.case.Mkv} elements are no multiple of 16 bytes"
    return None


def predict(here: Situation) -> Prediction:
    """Seen or not: xFormers says it of every operator that takes tensors."""
    return Prediction(
        "refused",
        1,
        1,
        "a row is no multiple of the 128 bits that CUTLASS loads at once",
        of="attn_bias.stride",
    )


def experiment(here: Situation) -> Experiment:
    """One edit: the memory behind the bias."""
    tensor = {"mask_form": "dense-float", "Mkv": min(here.case.Mkv, 256 + here.case.Mkv % 8)}
    return Experiment(
        here.small(f"written/{HABIT}", **tensor), here.small(f"mended/{HABIT}", **tensor)
    )


PITFALL = Pitfall(
    code="AP095",
    severity="high",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="bias = torch.zeros(B, H, Mq, -(-Mkv // 8) * 8, dtype=q.dtype, device=q.device)[..., :Mkv]",
    references=(
        "xformers#813",
        "xformers#684",
        "xformers@0.0.35:xformers/ops/fmha/cutlass.py (_check_bias_alignment)",
    ),
)
