"""FlexAttention on a jagged nested tensor attends across sequences, or fails.

**What happens.** Packed sequences see each other, silently; later releases raise, and
`create_nested_block_mask` of the tutorials cannot be imported any more.

**Why.** The tokens of a jagged tensor were taken as one long sequence unless a nested block mask was
given; then the support was removed.

**Experiment.** The packed call on a nested tensor, and on the dense row with a document mask.

**Remedy.** A mask_mod that compares document ids, on packed dense tensors; or varlen_attn.

**Versions.** Reported as silent of torch 2.10, and expected to be so up to 2.12; torch 2.11.0 on an
H200 raised UnsupportedFakeTensorException while tracing the call. 2.13 refuses.
"""

from __future__ import annotations

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation

HABIT = "flex-on-jagged"
SILENT, FAILS = (2, 6), (2, 11)


def suspect(here: Situation) -> str | None:
    """By the release of torch; one sequence alone cannot be mixed with another."""
    case, torch = here.case, here.release("torch")[:2]
    plain = case.mask.is_none and case.score.is_plain and case.storage == "packed"
    if not here.has(HABIT) or not plain or torch < SILENT or case.Mq != case.Mkv:
        return None
    if torch >= FAILS:
        return f"torch {here.versions['torch']} cannot take nested tensors in flex_attention"
    return f"{case.B} sequences are one for flex_attention" if case.B > 1 else None


def predict(here: Situation) -> Prediction:
    """By the release."""
    if here.release("torch")[:2] >= FAILS:
        why = "tracing fails since 2.11, and 2.13 has no support"
        return Prediction("refused", 1, 1, why, "NestedTensor|UnsupportedFakeTensor")
    return Prediction("wrong", 1, 1, "the packed rows are attended as one sequence")


def experiment(here: Situation) -> Experiment:
    """One edit: the document mask on a dense row."""
    return Experiment(here.arm(f"written/{HABIT}"), here.arm("flex-eager"))


PITFALL = Pitfall(
    code="AP021",
    severity="high",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="mask = create_block_mask(lambda b, h, i, j: document[i] == document[j], None, None, T, T)",
    references=("pytorch#177378", "pytorch#183516"),
)
