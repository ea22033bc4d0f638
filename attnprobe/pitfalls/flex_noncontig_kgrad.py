"""Compiled flex_attention of torch 2.6 returns wrong gradients of a sliced K.

**What happens.** The gradient of K is nonsense where K is a slice of a longer tensor; the output
and the other gradients are right, and the loss goes down for a while.

**Why.** A graph that has become dynamic, because an earlier call had another length, wrote the
gradient of K without regard to its strides.

**Experiment.** None on later versions. On torch 2.6: compile flex_attention, call it with two
lengths, and compare the gradient of a slice of K with that of its clone.

**Remedy.** A later torch, or `.contiguous()` on K before the call.

**Versions.** Reported for torch 2.6.0 on CUDA; the report is closed.
"""

from __future__ import annotations

from attnprobe.core.diagnosis import Prediction
from attnprobe.diagnosis.rule import Pitfall, Untestable
from attnprobe.diagnosis.situation import Situation

SLICED = ("packed-qkv", "kv-cache", "strided", "mixed", "BMHK")
"""Layouts in which K is not contiguous as (B, H, M, K)."""


def suspect(here: Situation) -> str | None:
    """The version, the compiled call, and a gradient of a K that is not contiguous."""
    case = here.case
    affected = here.on_cuda and here.backend == "flex" and here.release("torch")[:2] == (2, 6)
    if affected and case.layout in SLICED and case.wants_backward and "k" in case.grads:
        return f"torch {here.versions['torch']}, and K lies in memory as {case.layout} says"
    return None


def predict(here: Situation) -> Prediction:
    """Seen or not: the gradient of K is judged with the rest."""
    return Prediction("wrong", 1, 1, "the gradient of K is written with other strides")


def experiment(here: Situation) -> Untestable:
    """The graph must be dynamic, and the backends compile one for each case."""
    return Untestable(
        "a compiled flex_attention that is called with two lengths, on torch 2.6: K.grad of "
        "K[:, :, :-128] against that of its clone"
    )


PITFALL = Pitfall(
    code="AP039",
    severity="high",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="flex_attention(q, k.contiguous(), v)  # or pip install 'torch>=2.7'",
    references=("pytorch#146377",),
)
