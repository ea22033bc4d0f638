"""A Python number in a mask_mod is part of the compiled code: another number, another compilation.

**What happens.** Seconds are lost whenever the window, the prefix or the document length changes.

**Why.** What a mask function closes over is guarded when it is a number, and an input when it is a
tensor.

**Experiment.** One mask function with four widths as numbers and as tensors of no dimension; dynamo's
graphs are counted.

**Remedy.** Close over `torch.tensor(width, device=...)`.

**Versions.** All; torch 2.13 makes a symbol of a number after its first change, so that two graphs
serve. Eight of them and more end in flex-recompile-limit-eager.
"""

from __future__ import annotations

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation

HABIT = "flex-numbers-closed-over"
WIDTHS = 4


def suspect(here: Situation) -> str | None:
    """The code says so."""
    if here.has(HABIT):
        return "the mask function closes over a number that changes"
    return None


def predict(here: Situation) -> Prediction:
    """One for each number, or a symbol after the first change."""
    because = "a graph for each number, or a second one in which it is a symbol"
    return Prediction("value", 2, WIDTHS, because, of="graphs")


def experiment(here: Situation) -> Experiment:
    """One edit: what is closed over."""
    return Experiment(here.small(f"written/{HABIT}"), here.small(f"mended/{HABIT}"))


PITFALL = Pitfall(
    code="AP076",
    severity="low",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="width = torch.tensor(width, device=q.device)  # closed over by mask_mod",
    references=(
        "vllm-project/vllm#27178",
        "https://docs.pytorch.org/docs/stable/nn.attention.flex_attention.html",
    ),
)
