"""Peak counters that are not reset give one kernel's memory to the next.

**What happens.** Flash attention "needs as much memory" as the math kernel that ran before it.

**Why.** `max_memory_allocated` counts from the start of the process or the last reset. Reserved memory,
which nvidia-smi shows, is the allocator's cache and keeps what was freed.

**Experiment.** The math kernel, then the call, then the counter, over the call's true peak; then with
a reset in between.

**Remedy.** `torch.cuda.reset_peak_memory_stats()` before each variant, and the difference of
`max_memory_allocated()` to what was allocated before.

**Versions.** All, on GPUs.
"""

from __future__ import annotations

from attnprobe.core.case import ELEMENT_BYTES
from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation

HABIT = "memory-never-reset"


def suspect(here: Situation) -> str | None:
    """Scores must outweigh outputs, and the call itself must hold no scores."""
    case = here.case
    fused = case.dtype in ("float16", "bfloat16") and case.score.bias is None
    dense = case.mask_form != "best" or case.lengths is not None
    if not here.on_cuda or not here.has(HABIT) or not fused or dense:
        return None
    low, _ = _ratio(here)
    if low < 2 or here.calls("sdpa-math", "eager"):
        return None
    return f"the counter still holds the math kernel's scores, {low:.0f} times the outputs and more"


def predict(here: Situation) -> Prediction:
    """Score matrices of the math kernel over what a fused forward allocates: its output and lse."""
    why = "2 to 4 float32 score matrices over output and log-sum-exp (1 or 2 outputs)"
    return Prediction("value", *_ratio(here), why, "reported over true peak")


def _ratio(here: Situation) -> tuple[float, float]:
    case = here.case
    scores = 4.0 * case.B * case.Hq * case.Mq * case.Mkv
    rows = case.B * case.Hq * case.Mq
    outputs = rows * (case.Kv * ELEMENT_BYTES[case.dtype] + 4)
    return 2 * scores / (2 * outputs), 4 * scores / outputs


def experiment(here: Situation) -> Experiment:
    """One edit: a reset."""
    return Experiment(here.arm(f"written/{HABIT}"), here.arm(f"mended/{HABIT}"))


PITFALL = Pitfall(
    code="AP119",
    severity="high",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="torch.cuda.reset_peak_memory_stats(); before = torch.cuda.memory_allocated()  # each variant",
    references=(
        "https://docs.pytorch.org/docs/stable/generated/torch.cuda.max_memory_reserved.html",
    ),
)
