"""Key heads tiled with .repeat reach the wrong query heads.

**What happens.** A checkpoint loads, shapes fit, and quality is off: every query head but the first and
the last attends the keys of another group. Nothing warns.

**Why.** Query head h uses key head h // (Hq / Hkv). `repeat_interleave` gives that order, `.repeat` and
`.expand` over a new leading group dimension give h % Hkv.

**Experiment.** The call with tiled heads against the reference; the same call with `enable_gqa=True`.

**Remedy.** Let the kernel share the heads, or `repeat_interleave` where an old kernel needs copies.

**Versions.** All: this is code around the call.
"""

from __future__ import annotations

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation

HABIT = "kv-tiled"


def suspect(here: Situation) -> str | None:
    """Tiling is only right for one key head, or one per query head."""
    if here.has(HABIT) and 1 < here.case.Hkv < here.case.Hq:
        return f"Hkv={here.case.Hkv} heads are tiled to Hq={here.case.Hq} with .repeat"
    return None


def predict(here: Situation) -> Prediction:
    """All heads but those where h // G equals h % Hkv are wrong."""
    return Prediction("wrong", 1, 1, "query head h needs key head h // (Hq / Hkv), not h % Hkv")


def experiment(here: Situation) -> Experiment:
    """One edit: who expands the heads."""
    return Experiment(here.arm(f"written/{HABIT}"), here.arm("sdpa-default"))


PITFALL = Pitfall(
    code="AP010",
    severity="high",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="F.scaled_dot_product_attention(q, k, v, enable_gqa=True)  # or k.repeat_interleave(G, 1)",
    references=("torch@2.13.0:torch/nn/functional.py", "Dao-AILab/flash-attention README"),
)
