"""Static compilation makes a graph for each length, and none after the eighth.

**What happens.** Every new length costs a compilation of seconds to minutes; from the ninth on the
function runs uncompiled for good, with a warning in the log and nothing else.

**Why.** `dynamic=False` guards on every size. Dynamo keeps `recompile_limit` (8) versions of a
function and then gives up. By default the second length makes the sizes symbols, once.

**Experiment.** Twelve lengths with `dynamic=False`, graphs counted; the same by default.

**Remedy.** `dynamic=None`, the default, or `mark_dynamic` on the length; or a few padded lengths.

**Versions.** torch 2.1 and later; the limit was called `cache_size_limit` before 2.6.
"""

from __future__ import annotations

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation

HABIT = "compiled-static"

LIMIT = 8
"""torch@2.13.0:torch/_dynamo/config.py, `recompile_limit`."""


def suspect(here: Situation) -> str | None:
    """More lengths in the workload than graphs are kept."""
    lengths = {(s.case.Mq, s.case.Mkv) for s in here.workload}
    if here.has(HABIT) and len(lengths) > LIMIT:
        return f"{len(lengths)} lengths, and dynamo keeps {LIMIT} graphs of a function"
    return None


def predict(here: Situation) -> Prediction:
    """As many graphs as are kept; by default one static and one dynamic."""
    return Prediction("value", LIMIT, LIMIT, "twelve lengths, recompile_limit is 8", of="graphs")


def experiment(here: Situation) -> Experiment:
    """One edit: the argument `dynamic`."""
    return Experiment(here.small(f"written/{HABIT}"), here.small(f"mended/{HABIT}"))


PITFALL = Pitfall(
    code="AP085",
    severity="medium",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="attend = torch.compile(attend)  # dynamic=None: the second length makes it dynamic",
    references=(
        "torch@2.13.0:torch/_dynamo/config.py (recompile_limit)",
        "https://docs.pytorch.org/docs/stable/generated/torch.compile.html",
    ),
    once=True,
)
