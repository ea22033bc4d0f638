"""Flash attention's backward does not repeat its bits.

**What happens.** Two runs with one seed drift apart; dq differs in its last bits from the first step on.

**Why.** Thread blocks over the keys add their share of dq to one float32 sum with atomic additions, in
the order in which they happen to end. dk and dv have one owner each and repeat.

**Experiment.** Ten backward passes of the flash kernel, and ten in deterministic mode: elements of dq
that are not what they are in the first.

**Remedy.** `torch.use_deterministic_algorithms(True)` where bits matter (it costs memory and time), or a
kernel that repeats itself: the memory-efficient and cuDNN kernels did in five repeats on an H200.

**Versions.** FlashAttention 2 in torch, flash-attn and xFormers, unless told `deterministic=True`.
"""

from __future__ import annotations

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation

HABIT = "run-twice"
BLOCK = 128
"""Keys of a thread block of the backward, at most: `kBlockN` of flash_bwd_launch_template.h."""
ROUNDING = {"bfloat16": 2.0**-8, "float16": 2.0**-11}
RUNS, CANCEL = 9, 16


def suspect(here: Situation) -> str | None:
    """Three blocks of keys at least: a sum that begins with 0 and has two terms has no order."""
    case = here.case
    wanted = here.has(HABIT) or here.subject.needs.deterministic
    if not here.on_cuda or not wanted or not case.wants_backward or "q" not in case.grads:
        return None
    if not _flash(here) or case.dropout_p or case.Mkv <= 2 * BLOCK:
        return None
    return f"{-(-case.Mkv // BLOCK)} blocks of keys or more add to each dq in any order"


def _flash(here: Situation) -> bool:
    """Whether flash runs: by name, or as the first in torch's own order."""
    case = here.case
    square = case.mask.is_none or (case.mask.is_causal and case.Mq == case.Mkv)
    if (
        case.dtype not in ROUNDING
        or not case.score.is_plain
        or case.mask_form != "best"
        or not square
    ):
        return False
    if here.calls("sdpa-flash", "varlen", "flash-attn-2", "xformers-fa2"):
        return True
    torch = here.environment.torch
    first = torch.sdpa_priority[:1] if torch else ()
    return here.calls("sdpa-default") and first == ("flash_attention",)


def predict(here: Situation) -> Prediction:
    """A float32 sum in another order moves by an ulp or more, 2^-24 of it; so often a rounding flips.

    At most by one for each block of keys in each of nine runs, and sixteen times that where the terms
    cancel.
    """
    flips = 2.0**-24 / ROUNDING[here.case.dtype]
    most = flips * RUNS * CANCEL * -(-here.case.Mkv // BLOCK)
    why = f"an ulp of float32 flips one rounding to {here.case.dtype} in {1 / flips:,.0f}"
    return Prediction("value", flips, min(1.0, most), why, "share of dq that differs")


def experiment(here: Situation) -> Experiment:
    """One edit: deterministic mode. Sequences of all lengths are taken to be the longest."""
    return Experiment(
        here.arm(f"written/{HABIT}", lengths=None), here.arm(f"mended/{HABIT}", lengths=None)
    )


PITFALL = Pitfall(
    code="AP113",
    severity="medium",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="torch.use_deterministic_algorithms(True)  # flash_attn_func: deterministic=True",
    references=("flash-attention#988", "pytorch#182551"),
)
