"""More than 65,535 heads or sequences in one call are no valid grid for a CUDA kernel.

**What happens.** "CUDA error: invalid configuration argument", or wrong results in kernels that do not
look at errors of their launch. Windowed and axial attention, which fold windows into the batch, get
there.

**Why.** The second and third dimension of a CUDA grid end at 65,535, and kernels put heads and sequences
there. Torch cuts larger batches for the memory-efficient kernel since 2.8, where there is no dropout;
heads are not cut, and xFormers' kernel cuts neither.

**Experiment.** The same call with 65,535 of them.

**Remedy.** Fold what is too many into the other dimension, or call in parts.

**Versions.** All GPUs; SDPA's memory-efficient and flash kernels, xFormers from 0.0.21.
"""

from __future__ import annotations

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation

MOST = 65_535
"""CUDA C++ Programming Guide, technical specifications per compute capability."""
CUT = (2, 8)
"""Torch whose memory-efficient kernel gets the batch in parts (pytorch#154029, May 2025)."""


def suspect(here: Situation) -> str | None:
    """Heads beyond the limit; sequences where nobody cuts them."""
    case = here.case
    ours = here.calls("sdpa-default", "sdpa-flash", "sdpa-mem-efficient", "xformers")
    if not here.on_cuda or not ours:
        return None
    if case.Hq > MOST:
        return f"Hq={case.Hq} is a dimension of the grid, which ends at {MOST}"
    cut = here.backend == "sdpa-mem-efficient" and here.release("torch") >= CUT
    if case.B > MOST and (case.dropout_p or not cut) and case.storage == "padded":
        return f"B={case.B} is a dimension of the grid, which ends at {MOST}"
    return None


def predict(here: Situation) -> Prediction:
    """The driver refuses the launch."""
    return Prediction(
        "refused",
        1,
        1,
        f"y and z of a grid end at {MOST}",
        of="invalid configuration argument|invalid argument|65535",
    )


def experiment(here: Situation) -> Experiment:
    """One edit: as many as a grid can have."""
    case = here.case
    if case.Hq <= MOST:
        return Experiment(here.arm(), here.arm(B=MOST))
    heads = MOST // case.groups * case.groups
    return Experiment(here.arm(), here.arm(Hq=heads, Hkv=heads // case.groups))


PITFALL = Pitfall(
    code="AP073",
    severity="high",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix=(
        "parts = zip(q.split(32768, 1), k.split(32768, 1), v.split(32768, 1))  # 0 for the batch\n"
        "out = torch.cat([F.scaled_dot_product_attention(*part) for part in parts], 1)"
    ),
    references=(
        "pytorch#142228",
        "pytorch#146704",
        "pytorch#154029",
        "pytorch#177985",
        "facebookresearch/xformers#845",
        "flashinfer-ai/flashinfer#3125",
    ),
)
