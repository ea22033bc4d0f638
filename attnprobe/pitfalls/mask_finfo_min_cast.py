"""float32's finfo.min cast to 16 bits is -inf, and a row of it is NaN.

**What happens.** NaN appears under autocast or after `model.half()`, and not in float32.

**Why.** float32's least number, and -1e9 in float16, lie beyond the range of the 16-bit formats, and the
cast rounds to -inf. A row in which every key is masked was the mean of all values; now it is 0 / 0.

**Experiment.** The share of rows that are NaN in attention written out, with the mask cast and with
`finfo.min` of the final dtype: the rows that may attend no key, exactly. SDPA gives 0 there since torch
2.5, so the pitfall is one of code written out and of nn.MultiheadAttention with weights.

**Remedy.** A boolean mask and SDPA; or `torch.finfo(q.dtype).min`, made in q's dtype.

**Versions.** All.
"""

from __future__ import annotations

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation
from attnprobe.pitfalls import _masks

HABIT = "mask-cast-from-float32"


def suspect(here: Situation) -> str | None:
    """16 bits, and rows for which the difference matters."""
    case = here.case
    rows = _masks.empty_rows(case)
    if here.has(HABIT) and rows and case.dtype in ("bfloat16", "float16"):
        return f"float32's least number becomes -inf in {case.dtype}; {rows} queries have no key"
    return None


def predict(here: Situation) -> Prediction:
    """Rows without keys, and rows behind the lengths, which have none either."""
    case = here.case
    rows = case.q_shape[0] * case.q_shape[2]
    unused = rows - sum(s.Mq for s in case.sequences)
    share = (_masks.empty_rows(case) + unused) / rows
    because = f"softmax of -inf alone is 0 / 0, in {share:.1%} of the rows"
    return Prediction("value", share - 1e-9, share + 1e-9, because, "lost")


def experiment(here: Situation) -> Experiment:
    """One edit: which format's least number it is."""
    return Experiment(here.arm(f"written/{HABIT}"), here.arm(f"mended/{HABIT}"))


PITFALL = Pitfall(
    code="AP028",
    severity="medium",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="mask = torch.zeros_like(keep, dtype=q.dtype).masked_fill(~keep, torch.finfo(q.dtype).min)",
    references=("transformers#31035", "pytorch#110213", "pytorch#103749"),
)
