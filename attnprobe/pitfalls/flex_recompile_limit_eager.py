"""After eight versions of it flex_attention runs uncompiled, in silence.

**What happens.** Training runs for a few batches and then is ten times slower or out of memory. One
warning about `recompile_limit` stands far above in the log.

**Why.** `dynamic=False` compiles a version for every length, a new mask function one for every function.
Dynamo keeps eight versions of a function; then it calls the function itself, which holds every score in
memory (flex-eager-materialises).

**Experiment.** Ten batches of ten lengths with `dynamic=False`, and with dynamo's default; counted are
the calls in which no compiled graph ran.

**Remedy.** Leave `dynamic` alone or say True, round lengths up to multiples of 128, make mask functions
once. `fullgraph=True` turns the limit into an error that can be seen.

**Versions.** All of torch from 2.5; the limit is `torch._dynamo.config.recompile_limit`.
"""

from __future__ import annotations

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation

HABIT = "flex-static-lengths"
LIMIT, BATCHES = 8, 10


def suspect(here: Situation) -> str | None:
    """The code says so."""
    if here.has(HABIT):
        return f"dynamic=False with a new length in every batch: {LIMIT} versions are compiled"
    return None


def predict(here: Situation) -> Prediction:
    """What is left of the batches."""
    because = f"{BATCHES} lengths, and dynamo keeps {LIMIT} versions (recompile_limit)"
    return Prediction("value", 1, BATCHES - LIMIT, because, of="uncompiled")


def experiment(here: Situation) -> Experiment:
    """One edit: `dynamic`."""
    return Experiment(here.small(f"written/{HABIT}"), here.small(f"mended/{HABIT}"))


PITFALL = Pitfall(
    code="AP075",
    severity="critical",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="flex_attention = torch.compile(flex_attention, dynamic=True, fullgraph=True)",
    references=(
        "vllm-project/vllm#27178",
        "torch@2.13.0:torch/_dynamo/config.py (recompile_limit)",
    ),
)
