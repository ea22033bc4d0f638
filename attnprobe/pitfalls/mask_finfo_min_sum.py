"""Two finfo.min masks added forbid less than each of them.

**What happens.** In left-padded batches the queries of padding attend the future, or give NaN. Where
their outputs are used (a pooled mean, a recurrence, the gradient of K and V) samples go wrong.

**Why.** finfo.min + finfo.min is -inf; a key forbidden once keeps finfo.min. In a row in which every key
is forbidden the largest logits are those forbidden once: the row's own key, which is padding, and all
tokens after it, which only the causal mask forbids. Beside finfo.min the logits vanish, so these weigh
alike.

**Experiment.** The weight that the first query of a left-padded sample puts on later keys, with two
masks added and with two booleans joined, by SDPA's math kernel: n / (n + 1) for a sample of n tokens.

**Remedy.** `causal & keep[:, None, None, :]`, booleans; SDPA makes rows without keys 0.

**Versions.** All: float32, bfloat16 and float16 alike; nn.MultiheadAttention adds its two masks, too.
"""

from __future__ import annotations

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation

HABIT = "finfo-min-masks-added"


def _padded(here: Situation) -> list[int]:
    """Tokens of the sequences that have some, and padding before them."""
    return [s.Mkv for s in here.case.sequences if 0 < s.Mkv < here.case.Mkv]


def suspect(here: Situation) -> str | None:
    """Both masks forbid something."""
    case = here.case
    both = case.mask.is_causal and case.storage == "padded" and bool(_padded(here))
    if here.has(HABIT) and both and case.Mq == case.Mkv:
        return f"{len(_padded(here))} of {case.B} samples are padded, and a causal mask is added"
    return None


def predict(here: Situation) -> Prediction:
    """The longest of the padded samples: n tokens after it and one key of padding weigh alike.

    Beside float16's -65504 logits do not vanish in float32: the one key's share then varies as exp of a
    normal number does, by 1.3 of its size, and is averaged over heads. Three such deviations are left.
    """
    tokens = max(_padded(here))
    share = tokens / (tokens + 1)
    vary = 3 * 1.3 / here.case.Hq**0.5 if here.case.dtype == "float16" else 0.0
    low = share - vary * (1 - share) - 0.01
    because = f"{tokens} later tokens and 1 key of padding weigh alike: {share:.3f}"
    return Prediction("value", max(0.0, low), 1.0, because, "future")


def experiment(here: Situation) -> Experiment:
    """One edit: how two masks are joined."""
    return Experiment(here.arm(f"written/{HABIT}"), here.arm(f"mended/{HABIT}"))


PITFALL = Pitfall(
    code="AP027",
    severity="high",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="mask = causal & keep[:, None, None, :]  # booleans, True = attend",
    references=("torch@2.13.0:torch/nn/functional.py",),
)
