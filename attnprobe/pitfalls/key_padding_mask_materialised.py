"""A padding mask that is copied for every head and query takes memory like the scores.

**What happens.** The mask alone takes gigabytes: B * Hq * Mq * Mkv elements where B * Mkv say the
same.

**Why.** `expand` is free until something makes it contiguous: `repeat`, a comparison, an addition to
another mask. A boolean one is then converted to numbers of the queries' type, once more of that size.

**Experiment.** The mask as (B, Hq, Mq, Mkv) against the same as (B, 1, 1, Mkv).

**Remedy.** Keep it as keys, `keep[:, None, None, :]`: SDPA reads broadcast dimensions with stride 0.

**Versions.** All of torch. xFormers wants the full shape but takes an expanded view.
"""

from __future__ import annotations

from attnprobe.core.case import ELEMENT_BYTES, Lengths
from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation
from attnprobe.pitfalls import _scores

HABIT = "key-mask-expanded"
SIDES = ("written", "mended")


def suspect(here: Situation) -> str | None:
    """Padding alone is a matter of keys; another mask beside it has queries of its own."""
    case = here.case
    padded = case.lengths is not None and case.storage == "padded"
    if not here.has(HABIT) or not padded or not case.mask.is_none or not case.score.is_plain:
        return None
    if predict(here).low < _scores.MATTERS:
        return None
    full = case.B * case.Hq * case.Mq * case.Mkv
    return f"the padding mask has B * Hq * Mq * Mkv = {full:,} elements; B * Mkv would do"


def predict(here: Situation) -> Prediction:
    """The conversion to the queries' type at least; at most the copy and its negation besides."""
    case = here.case
    pairs, size = case.B * case.Hq * case.Mq * case.Mkv, ELEMENT_BYTES[case.dtype]
    least = _scores.extra(here, case, pairs * size, f"{size} to {size + 2} bytes a pair: the mask")
    most = _scores.extra(here, case, pairs * (size + 2), "")
    return Prediction("memory", least.low, most.high, least.because)


def experiment(here: Situation) -> Experiment:
    """One edit: the mask's shape. Padded queries are taken as real, so that keys are all it is about."""
    case = here.case
    keys = case.lengths.kv if case.lengths else (case.Mkv,) * case.B
    lengths = Lengths((case.Mq,) * case.B, keys)
    written, mended = (here.arm(f"{side}/{HABIT}", lengths=lengths) for side in SIDES)
    return Experiment(written, mended)


PITFALL = Pitfall(
    code="AP052",
    severity="high",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="F.scaled_dot_product_attention(q, k, v, attn_mask=keep[:, None, None, :])  # keep: (B, Mkv)",
    references=(
        "torch@2.13.0:torch/nn/functional.py (scaled_dot_product_attention: attn_mask broadcasts)",
    ),
)
