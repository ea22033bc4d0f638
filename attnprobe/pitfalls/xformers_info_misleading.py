"""xformers.info calls operators available that refuse every call.

**What happens.** `python -m xformers.info` lists `cutlassF-pt: available`, and the call raises
NotImplementedError. "fa2F@2.5.7-pt" is no version that was found, but a constant in torch.

**Why.** Available means that an operator is registered: the `-pt` ones are in every torch, Triton's in
every Triton. Whether xFormers' own library loaded, and whether there is a GPU, is asked at the call.

**Experiment.** One token through every operator that calls itself available; then through those only
that have run one.

**Remedy.** Launch one token instead of reading the list: `attnprobe info` does.

**Versions.** xFormers 0.0.3x.
"""

from __future__ import annotations

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation
from attnprobe.pitfalls import _machine
from attnprobe.remedies import missing_library, xformers_torch

HABIT = "xformers-info"


def suspect(here: Situation) -> str | None:
    """The library cannot load, or there is no GPU: what the list says does not depend on it."""
    if not (here.calls("xformers") or here.has(HABIT)) or not here.release("xformers"):
        return None
    if not here.on_cuda:
        return "xformers.info lists operators as available here, and none of them takes tensors of a CPU"
    said = missing_library.matches(_machine.lacking(here, "xformers"), ())
    broken = _machine.what(said or xformers_torch.matches(here.environment, ()))
    return f"{broken}; xformers.info says available all the same" if broken else None


def predict(here: Situation) -> Prediction:
    """All of them refuse for one reason."""
    why = "registered operators share one check of library and device, which fails"
    return Prediction("value", 1, 1, why, "refusing share of those believed in")


def experiment(here: Situation) -> Experiment:
    """One edit: whom to believe."""
    return Experiment(here.arm(f"written/{HABIT}"), here.arm(f"mended/{HABIT}"))


PITFALL = Pitfall(
    code="AP090",
    severity="high",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="xops.memory_efficient_attention(*[torch.ones(1, 1, 1, 64).cuda().half()] * 3)",
    references=("xformers@0.0.35:xformers/info.py", "torch@2.13.0:torch/nn/attention/__init__.py"),
    once=True,
)
