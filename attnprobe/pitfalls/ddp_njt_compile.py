"""Compiled attention on nested tensors fails under DDP.

**What happens.** A compile error that shows with two GPUs and with none less.

**Why.** Under DDP dynamo cuts the graph at the gradient buckets and traces the pieces with fake tensors,
which a nested tensor between two pieces does not survive.

**Experiment.** Two ranks, with DDP and without: it needs two GPUs.

**Remedy.** `torch._dynamo.config.optimize_ddp = False`, or packed dense tensors.

**Versions.** Reported of torch 2.7, open.
"""

from __future__ import annotations

from attnprobe.core.diagnosis import Prediction
from attnprobe.diagnosis.rule import Pitfall, Untestable
from attnprobe.diagnosis.situation import Situation

HABIT = "distributed-data-parallel"


def suspect(here: Situation) -> str | None:
    """Nested, compiled and wrapped."""
    nested = here.calls("njt") and here.subject.needs.compile
    if here.on_cuda and here.has(HABIT) and nested and here.release("torch") >= (2, 7):
        return "nested tensors are compiled inside a model under DDP"
    return None


def predict(here: Situation) -> Prediction:
    """It fails while compiling."""
    return Prediction("refused", 1, 1, "the report's compile error, with two ranks only")


def experiment(here: Situation) -> Untestable:
    """DDP cuts graphs where there is a process group."""
    return Untestable(
        "needs two GPUs: torchrun --nproc-per-node 2 with the model, with and without DDP"
    )


PITFALL = Pitfall(
    code="AP124",
    severity="low",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="torch._dynamo.config.optimize_ddp = False",
    references=("pytorch#152068",),
)
