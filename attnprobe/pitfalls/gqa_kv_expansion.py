"""Keys and values are copied for every query head although the kernel would share them.

**What happens.** Memory of K and V grows by Hq / Hkv, and in decoding, where reading K and V is all
the work, so does the traffic. Results are the same.

**Why.** `repeat_interleave` (or `expand` and `reshape`) makes copies, and a backward keeps them. Flash
and cuDNN read one key head for all queries of its group when `enable_gqa=True` says so; the CPU's
flash as well.

**Experiment.** The call on repeated heads against `enable_gqa=True`.

**Remedy.** `enable_gqa=True`. Where that falls to the math kernel (masks on older GPUs, float32:
sdpa-gqa-no-fused-backend), repeating is right, and this page is not about it.

**Versions.** torch from 2.5, where `enable_gqa` appeared.
"""

from __future__ import annotations

from attnprobe.core.case import ELEMENT_BYTES
from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation
from attnprobe.pitfalls import _dispatch, _scores

HABIT = "kv-repeated"
MOST_SPLITS = 128


def suspect(here: Situation) -> str | None:
    """Only where a fused kernel takes the call with shared heads, and the copies weigh something."""
    case = here.case
    if not here.has(HABIT) or case.groups == 1 or not _is_shared(here):
        return None
    if predict(here).low < _scores.MATTERS:
        return None
    return f"K and V of {case.Hkv} heads are copied to {case.Hq}"


def predict(here: Situation) -> Prediction:
    """Copies over a call without them; short queries may be split over keys, with partial sums."""
    case = here.case
    sums = case.B * case.Hq * case.Mq * (case.Kv + 1) * 4 * MOST_SPLITS if case.Mq < 64 else 0
    copies = case.B * case.Hq * case.Mkv * (case.K + case.Kv) * ELEMENT_BYTES[case.dtype]
    plain = _scores.extra(here, case, copies, "copies of K and V for all query heads")
    low, _ = _scores.fused(here, case)
    most = 1 + (2 * copies if case.wants_backward else copies) / low
    least = 1 + copies / (copies / (plain.low - 1) + sums)
    return Prediction("memory", least, most, plain.because)


def experiment(here: Situation) -> Experiment:
    """One edit: who shares the heads."""
    return Experiment(here.arm(f"written/{HABIT}"), here.arm("sdpa-default"))


def _is_shared(here: Situation) -> bool:
    case = here.case
    if not here.on_cuda:
        return case.Kv == case.K
    flash = case.dtype in _dispatch.HALF and case.K == case.Kv <= 256
    return _dispatch.cudnn_runs(here) or (flash and not _dispatch.has_mask_tensor(case))


PITFALL = Pitfall(
    code="AP045",
    severity="medium",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="F.scaled_dot_product_attention(q, k, v, enable_gqa=True)  # k, v as they come",
    references=("torch@2.13.0:torch/nn/functional.py (scaled_dot_product_attention)",),
)
