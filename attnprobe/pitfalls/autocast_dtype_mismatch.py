"""Under autocast q and k reach a third-party kernel in float32 beside a 16-bit v.

**What happens.** `Query/Key/Value should either all have the same dtype` (xFormers) or
`FlashAttention only support fp16 and bf16 data type`, in a model that ran with SDPA. Where norms
make v float32 too, nothing is raised and the slow float32 kernel runs.

**Why.** Rotary embeddings and norms compute in float32. Autocast casts the inputs of the operators
that it knows, SDPA among them; it knows none of other libraries.

**Experiment.** Under autocast, q and k in float32 and v in 16 bits; the same, cast to v's dtype
first.

**Remedy.** Cast q and k to the dtype of v before the call, or call SDPA.

**Versions.** All of xFormers and flash-attn; torch from 1.10 on.
"""

from __future__ import annotations

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall, Untestable
from attnprobe.diagnosis.situation import Situation

HABIT = "rope-in-float32"


def suspect(here: Situation) -> str | None:
    """Two dtypes, and a library that autocast does not know."""
    library = next((name for name in ("xformers", "flash-attn") if here.calls(name)), None)
    if here.has(HABIT) and library and here.case.dtype in ("bfloat16", "float16"):
        return f"q and k are float32, v is {here.case.dtype}, and {library} is outside autocast"
    return None


def predict(here: Situation) -> Prediction:
    """Seen or not."""
    return Prediction(
        "refused",
        1,
        1,
        "xFormers compares the dtypes of q, k and v before it looks for an operator",
        of="should either all have the same dtype",
    )


def experiment(here: Situation) -> Experiment | Untestable:
    """One edit: the cast before the call."""
    if not here.calls("xformers"):
        return Untestable(
            "flash-attn is called here with tensors of one dtype only; under autocast "
            "flash_attn_func(q.float(), k.float(), v) would test it"
        )
    return Experiment(here.small(f"written/{HABIT}"), here.small(f"mended/{HABIT}"))


PITFALL = Pitfall(
    code="AP106",
    severity="high",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="q, k = q.to(v.dtype), k.to(v.dtype)  # after the rotary embedding, before the call",
    references=(
        "kohya-ss/musubi-tuner#1037",
        "flash-attention#622",
        "https://docs.pytorch.org/docs/stable/amp.html",
        "xformers@0.0.35:xformers/ops/fmha/common.py (Inputs.validate_inputs)",
    ),
)
