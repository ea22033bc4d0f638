"""flash-attn's varlen kernel breaks on empty sequences in grouped decoding.

**What happens.** "shape '[...]' is invalid for input of size ..." on the step in which one sequence of a
batch has nothing to decode; with flash-attn 3 and 4 illegal addresses or hangs were reported.

**Why.** With max_seqlen_q = 1 and grouped heads the groups are folded into the queries by a reshape that
counts on one query of every sequence.

**Experiment.** The call as it is, and with a token in each of the empty sequences.

**Remedy.** Leave empty sequences out, or pass max_seqlen_q=2, which goes another way.

**Versions.** flash-attn 2; torch's varlen_attn since it takes grouped heads (2.12).
"""

from __future__ import annotations

from dataclasses import replace

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall, Untestable
from attnprobe.diagnosis.situation import Situation


def suspect(here: Situation) -> str | None:
    """Grouped heads, one query at most, and a sequence without any."""
    case = here.case
    if not here.on_cuda or case.lengths is None or case.storage != "packed" or case.groups == 1:
        return None
    calls = here.calls("flash-attn-2") or (
        here.calls("varlen") and here.release("torch") >= (2, 12)
    )
    if not calls or max(case.lengths.q) != 1 or min(case.lengths.q):
        return None
    empty = case.lengths.q.count(0)
    return f"{empty} of {case.B} sequences have no query, max_seqlen_q is 1 and G is {case.groups}"


def predict(here: Situation) -> Prediction:
    """The reshape's words."""
    why = "q is viewed as (sequences, Hkv, G, K), and has fewer rows"
    return Prediction("refused", 1, 1, why, "invalid for input|shape|CUDA error")


def experiment(here: Situation) -> Experiment | Untestable:
    """One edit: the lengths."""
    if here.calls("flash-attn-2") and not here.release("flash-attn"):
        return Untestable("flash-attn is not installed here: beside it this runs as it is")
    lengths = here.case.lengths
    assert lengths is not None  # asked by `suspect`
    filled = replace(
        lengths,
        q=tuple(max(1, n) for n in lengths.q),
        kv=tuple(max(1, n) for n in lengths.kv),
    )
    return Experiment(here.arm(), here.arm(lengths=filled))


PITFALL = Pitfall(
    code="AP109",
    severity="medium",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="flash_attn_varlen_func(..., max_seqlen_q=max(2, max_seqlen_q))",
    references=("flash-attention#1537", "flash-attention#1619"),
)
