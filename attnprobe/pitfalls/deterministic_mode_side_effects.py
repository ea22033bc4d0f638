"""Deterministic mode multiplies the backward's memory.

**What happens.** With `use_deterministic_algorithms(True)` the backward is slower and needs several
times the memory, cuDNN is no longer chosen, and xFormers takes its cutlass backward. With
`warn_only=True` it warns and is as nondeterministic as before.

**Why.** Flash's deterministic backward gives every one of ceil(SMs / (B * H)) thread blocks a float32 dq
of its own and adds them up at the end. The fewer heads, the more copies: 9 on 132 SMs with B * H = 16.

**Experiment.** Peak memory of the same call with the mode on and off.

**Remedy.** The mode in tests only; or where it must stay, batches with B * H of the number of SMs.

**Versions.** torch 2.5 and later, flash-attn 2.4.1 and later.
"""

from __future__ import annotations

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation

HABIT = "deterministic-mode"


def suspect(here: Situation) -> str | None:
    """What flash takes in that mode, with two copies of dq at least."""
    case = here.case
    flash = case.dtype in ("float16", "bfloat16") and case.score.bias is None
    square = case.mask.is_none or (case.mask.is_causal and case.Mq == case.Mkv)
    if not here.on_cuda or not here.has(HABIT) or not case.wants_backward or not flash:
        return None
    if not here.calls("sdpa-default") or not square or case.mask_form != "best" or case.lengths:
        return None
    copies = _copies(here)
    if copies < 2 or case.Kv != case.K or case.K > 256 or set(case.grads) != {"q", "k", "v"}:
        return None
    return (
        f"B * H = {case.B * case.Hq} on {here.multiprocessors} SMs: {copies} float32 copies of dq"
    )


def _copies(here: Situation) -> int:
    """`nsplits` of mha_bwd in flash_api.cpp."""
    return -(-here.multiprocessors // (here.case.B * here.case.Hq))


def predict(here: Situation) -> Prediction:
    """Output, gradients and the copies of dq, over the same with one copy, or with none (cuDNN)."""
    case = here.case
    rows = case.B * case.Hq * -(-case.Mq // 128) * 128
    dq = rows * -(-case.K // 32) * 32 * 4
    gradients = 2 * case.K * case.B * (2 * case.Hq * case.Mq + 2 * case.Hkv * case.Mkv)
    strict = gradients + _copies(here) * dq
    return Prediction(
        "memory",
        0.9 * strict / (gradients + dq),
        1.1 * strict / gradients,
        f"{_copies(here)} = ceil(SMs / (B * H)) float32 copies of dq, over one or none",
    )


def experiment(here: Situation) -> Experiment:
    """One edit: the mode."""
    return Experiment(here.arm(f"written/{HABIT}"), here.arm("sdpa-default"))


PITFALL = Pitfall(
    code="AP114",
    severity="medium",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="torch.use_deterministic_algorithms(False)  # and bits compared in tests alone",
    references=("Dao-AILab/flash-attention@v2.8.3:csrc/flash_attn/flash_api.cpp", "pytorch#182551"),
)
