"""float32 attention has 11 bits where TF32 is allowed, and only on some kernels.

**What happens.** float32 results differ by a thousandth between kernels, machines, or before and after
`set_float32_matmul_precision("high")`. Whoever takes float32 as a reference compares with noise.

**Why.** With "high" cuBLAS and compiled kernels round what they multiply to TF32: 8 bits of exponent,
11 significant ones. The math kernel, flex_attention and hand-written attention follow that setting;
the memory-efficient kernel splits every float32 into three TF32 products whatever it says, and stays
accurate.

**Experiment.** The math kernel with "high" and with "highest", each against float64: the largest error
relative to the largest output.

**Remedy.** `highest` around references, and float64 for those that matter. For speed take bfloat16
instead.

**Versions.** torch from 1.12, where "highest" became the default; GPUs from sm80 on.
"""

from __future__ import annotations

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation

HABIT = "tf32-allowed"
FOLLOW = ("sdpa-math", "eager", "flex", "flex-eager")


def suspect(here: Situation) -> str | None:
    """float32 on tensor cores that know TF32, by a kernel that follows the setting."""
    modern = here.on_cuda and (here.capability or (0, 0)) >= (8, 0)
    if modern and here.has(HABIT) and here.case.dtype == "float32" and here.backend in FOLLOW:
        return f'float32_matmul_precision is "high", and {here.backend} follows it'
    return None


def predict(here: Situation) -> Prediction:
    """Rounding to 11 significant bits is off by 2^-12 on average; products and sums soften or add."""
    because = "2^-11 at most for each rounded factor, three matrices of them; float32 has 2^-24"
    return Prediction("value", 2**-14, 2**-8, because, "error")


def experiment(here: Situation) -> Experiment:
    """One edit: the setting."""
    return Experiment(here.arm(f"written/{HABIT}"), here.arm(f"mended/{HABIT}"))


PITFALL = Pitfall(
    code="AP031",
    severity="medium",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix='torch.set_float32_matmul_precision("highest")  # for whatever is a reference',
    references=(
        "pytorch#138556",
        "torch@2.13.0:torch/__init__.py (set_float32_matmul_precision)",
    ),
)
