"""xFormers' flash forward and CUTLASS backward do not go together for packed sequences.

**What happens.** `... use different format of logsumexp` with `op=(flash.FwOp, cutlass.BwOp)` and a
block-diagonal mask; or, without any `op`, no operator for the backward as soon as deterministic
algorithms are asked for, in a message that names flash operators alone.

**Why.** Flash keeps the log-sum-exp of packed sequences in one row, CUTLASS in one padded row for
each. In deterministic mode flash's backward is ruled out while its forward is still chosen, and
CUTLASS's, which is deterministic, cannot read its format. That reason is made and never printed:
the dispatcher does not hand it on.

**Experiment.** The mixed pair, or the deterministic mode, on the packed sequences; CUTLASS for both
passes.

**Remedy.** One family: `op=fmha.MemoryEfficientAttentionCutlassOp`.

**Versions.** xFormers 0.0.28 and later; both were seen with 0.0.35 on an H200.
"""

from __future__ import annotations

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation

MIXED, DETERMINISTIC = "xformers-mixed-operators", "xformers-deterministic"


def suspect(here: Situation) -> str | None:
    """Several packed sequences with gradients: for one sequence both formats are the same."""
    case = here.case
    packed = case.storage == "packed" and case.B > 1 and case.wants_backward
    if not (here.calls("xformers") and packed and here.on_cuda):
        return None
    if here.has(MIXED):
        return f"a flash forward and a CUTLASS backward for {case.B} packed sequences"
    mode = here.has(DETERMINISTIC) or here.subject.needs.deterministic
    if mode and here.backend != "xformers-cutlass":
        return f"deterministic mode leaves flash's forward of {case.B} sequences no backward"
    return None


def predict(here: Situation) -> Prediction:
    """Seen or not."""
    return Prediction(
        "refused",
        1,
        1,
        "flash packs the log-sum-exp of several sequences, CUTLASS pads it",
        of="different format of logsumexp|operator is non-deterministic",
    )


def experiment(here: Situation) -> Experiment:
    """One edit: the operators."""
    if here.has(MIXED):
        return Experiment(here.arm(f"written/{MIXED}"), here.arm("xformers-cutlass"))
    return Experiment(here.arm(f"written/{DETERMINISTIC}"), here.arm(f"mended/{DETERMINISTIC}"))


PITFALL = Pitfall(
    code="AP103",
    severity="medium",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="xops.memory_efficient_attention(q, k, v, bias, op=xops.fmha.MemoryEfficientAttentionCutlassOp)",
    references=(
        "xformers CHANGELOG 0.0.28",
        "xformers@0.0.35:xformers/ops/fmha/__init__.py (_fMHA.forward)",
        "xformers@0.0.35:xformers/ops/fmha/dispatch.py (_dispatch_bw)",
    ),
)
