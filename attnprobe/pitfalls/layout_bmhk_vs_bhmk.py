"""Heads and tokens stand in each other's place: (B, M, H, K) or (B, H, M, K).

**What happens.** The call runs and returns the right shape, and heads have attended each other, token
by token; no token has seen another. Long sequences fail at last with a CUDA launch error, because the
tokens stand where the grid counts heads. A call of hundreds of heads and few tokens is this one.

**Why.** SDPA, FlexAttention and most models have heads before tokens; xFormers, flash-attn and
`varlen_attn` have them behind. Four dimensions that agree pass every check of either side.

**Experiment.** The call with heads and tokens exchanged against the reference; the same call with both
in their places.

**Remedy.** `.transpose(1, 2)` of q, k, v and of the output: a view, no copy.

**Versions.** All, of every library.
"""

from __future__ import annotations

from attnprobe.core.case import Case
from attnprobe.core.diagnosis import Arm, Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation

SDPA, XFORMERS = "heads-after-tokens", "heads-before-tokens"
HEADS = 256
"""No published model has as many heads in one call; sequences do have as many tokens."""


def _habit(here: Situation) -> str:
    return XFORMERS if here.has(XFORMERS) or here.calls("xformers") else SDPA


def _meant(here: Situation) -> Case | None:
    """The call with heads and tokens in their places, where they are not.

    A call of hundreds of heads and few tokens, as a capture shows it, has them exchanged; with one
    sample it may be windows of an image, folded into the heads.
    """
    case = here.case
    if here.has(_habit(here)):
        return case
    many = here.calls("sdpa", "xformers") and case.B > 1 and case.Hq == case.Hkv >= HEADS
    if many and case.Mq == case.Mkv <= HEADS // 2:
        return case.edit(Hq=case.Mq, Hkv=case.Mkv, Mq=case.Hq, Mkv=case.Hkv)
    return None


def suspect(here: Situation) -> str | None:
    """Where lengths differ, or a dense mask comes with them, the call raises: that is loud."""
    case = _meant(here)
    if case is None or case.Mq != case.Mkv or case.Hq * case.Mq == 1:
        return None
    plain = case.mask.is_none or (case.mask.is_causal and case.mask_form == "best")
    if plain and case.lengths is None and case.score.is_plain:
        return (
            f"{case.Hq} heads and {case.Mq} tokens are read as {case.Mq} heads and {case.Hq} tokens"
        )
    return None


def predict(here: Situation) -> Prediction:
    """Each query has Hkv logits, of heads, where Mkv logits, of tokens, are meant."""
    case = _meant(here) or here.case
    because = f"softmax runs over {case.Hkv} heads in place of {case.Mkv} tokens"
    return Prediction("wrong", 1, 1, because)


def experiment(here: Situation) -> Experiment:
    """One edit: which dimension holds the heads."""
    case = _meant(here) or here.case
    habit = _habit(here)
    right = "sdpa-default" if habit == SDPA else f"mended/{habit}"
    return Experiment(Arm(case, f"written/{habit}"), Arm(case, right))


PITFALL = Pitfall(
    code="AP009",
    severity="critical",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="q, k, v = (t.transpose(1, 2) for t in (q, k, v))  # views, no copies\n"
    "out = F.scaled_dot_product_attention(q, k, v).transpose(1, 2)  # or memory_efficient_attention",
    references=(
        "pytorch#133976",
        "xformers@0.0.35:xformers/ops/fmha/__init__.py",
        "torch@2.13.0:torch/nn/functional.py",
    ),
)
