"""A log-sum-exp of one library is merged as if it were another's.

**What happens.** Cascade, ring or split-KV attention gives slightly wrong mixtures, or NaN, or a shape
error at lengths that are no multiple of 32.

**Why.** The log-sum-exp is natural everywhere but in FlashInfer, which has base 2. Its shape differs
too: for B2 H4 M100 flash gives (2, 4, 100), torch's memory-efficient kernel (2, 4, 128), cuDNN
(2, 4, 100, 1), varlen_attn (4, tokens) although its docstring says (tokens, 4).

**Experiment.** A quarter of the keys and the rest merged with 2 ** lse and with e ** lse. Weights of
ratio r get the ratio r ** 0.693, unless both parts weigh the same.

**Remedy.** `lse * math.log(2)` makes FlashInfer's natural; `lse[..., :Mq]` and `lse.squeeze(-1)` undo
the padding.

**Versions.** torch 2.13, FlashInfer and xFormers 0.0.35 as read.
"""

from __future__ import annotations

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation

HABIT = "lse-in-base-2"


def suspect(here: Situation) -> str | None:
    """Two parts at least; a tensor bias would need a merge of another kind."""
    case = here.case
    if not here.has(HABIT) or case.Mkv < 2 or case.score.bias is not None:
        return None
    prefix = case.Mkv // 4 or 1
    return f"{prefix} and {case.Mkv - prefix} keys are merged by 2 ** lse, and lse is natural"


def predict(here: Situation) -> Prediction:
    """Parts of n and 3n keys: their ratio of 3 becomes 3 ** ln 2 = 2.14."""
    return Prediction("wrong", 1, 1, "a share of 0.25 becomes 1 / (1 + 3 ** ln 2) = 0.32")


def experiment(here: Situation) -> Experiment:
    """One edit: the base."""
    return Experiment(here.arm(f"written/{HABIT}"), here.arm(f"mended/{HABIT}"))


PITFALL = Pitfall(
    code="AP015",
    severity="high",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="weights = torch.exp(lse - lse.amax(0))  # natural; FlashInfer's first: lse * math.log(2)",
    references=(
        "torch@2.13.0:torch/nn/attention/varlen.py",
        "flashinfer-ai/flashinfer:include/flashinfer/attention/cascade.cuh",
    ),
)
