"""Attention on jagged nested tensors breaks the compiled graph.

**What happens.** A model of nested tensors under `torch.compile` is cut into pieces at each
attention, each piece compiled and launched by itself; DDP with compile fails outright.

**Why.** The longest and the shortest sequence are numbers on the host, read from the offsets with
`.item()`, which no graph can hold. The math path on the CPU takes the tensors apart as well.

**Experiment.** A projection and attention compiled over six batches, nested; the same on packed
rows.

**Remedy.** Packed rows of plain tensors with `varlen_attn`, or flex_attention with a document mask.

**Versions.** torch 2.3 to 2.13. The catalogue advises `min_seqlen=` and `max_seqlen=` at
construction: on the CPU the graph breaks just as often with them.
"""

from __future__ import annotations

import math

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation

HABIT = "njt-compiled"


def suspect(here: Situation) -> str | None:
    """Nested tensors inside torch.compile."""
    compiled = here.has(HABIT) or here.subject.needs.compile
    if here.backend == "njt" and compiled and here.case.storage == "packed":
        return f"{here.case.B} nested sequences inside torch.compile"
    return None


def predict(here: Situation) -> Prediction:
    """At least one: what comes before attention and what comes after are graphs of their own."""
    return Prediction(
        "value", 1, math.inf, "lengths are read with .item() in each attention", of="breaks"
    )


def experiment(here: Situation) -> Experiment:
    """One edit: nested tensors or packed rows."""
    return Experiment(here.arm(f"written/{HABIT}"), here.arm(f"mended/{HABIT}"))


PITFALL = Pitfall(
    code="AP084",
    severity="medium",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="varlen_attn(q, k, v, cu_seqlens, cu_seqlens, longest, longest)  # rows (T, H, K), on CUDA",
    references=("pytorch#152068", "pytorch#155065", "torch@2.13.0:torch/nested/_internal/sdpa.py"),
)
