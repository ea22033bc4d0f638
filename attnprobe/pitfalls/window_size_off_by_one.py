"""window_size=(W, 0) lets W + 1 keys attend, a configuration's sliding_window W.

**What happens.** Outputs differ by about a percent from what the model was trained with, more in
short windows; each layer sees one key more than it should. Comparisons of backends fail by 1e-2.

**Why.** flash-attn, `varlen_attn` and masks of positions count the keys before the query's own; model
configurations (Mistral, Gemma) and xFormers' `make_local_attention` count the query's own as well.
xFormers' `LocalAttentionFromBottomRightMask(window_left=W)` counts as flash-attn does.

**Experiment.** The window with one key more against the reference of W keys; the same call with W - 1.
A window that already holds 2^n + 1 keys is suspected without any habit: nobody configures that.

**Remedy.** `window_size=(sliding_window - 1, 0)`.

**Versions.** flash-attn since 2.3, torch's `varlen_attn` since 2.11, transformers until #40163 (2025).
"""

from __future__ import annotations

from dataclasses import replace

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.core.mask import Mask
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation

HABIT = "window-passed-whole"
SHORTEST = 16
"""Windows of fewer keys are not configured; 3 or 5 keys are somebody's stencil."""


def _meant(here: Situation) -> Mask | None:
    """The mask that is meant, where another one is passed."""
    mask = here.case.mask
    if mask.left is None or mask.right != 0 or mask.left + 1 >= here.case.Mkv:
        return None
    if here.has(HABIT):
        return mask
    power_of_two = mask.left >= SHORTEST and mask.left & (mask.left - 1) == 0
    return replace(mask, left=mask.left - 1) if power_of_two else None


def suspect(here: Situation) -> str | None:
    """A window of W + 1 keys that is cut somewhere."""
    meant = _meant(here)
    if meant is None or meant.left is None:
        return None
    keys = meant.left + 1
    return f"a window of {keys} keys is passed as left={keys}, which lets {keys + 1} attend"


def predict(here: Situation) -> Prediction:
    """The extra key has the weight of any other; the rest lose as much."""
    meant = _meant(here)
    keys = (meant.left or 0) + 2 if meant else 1
    because = f"one key of {keys} too many: outputs are off by {keys**-0.5:.1%} of their size"
    return Prediction("wrong", 1, 1, because)


def experiment(here: Situation) -> Experiment:
    """One edit: how the window is counted."""
    meant = _meant(here)
    sides = (here.arm(f"{side}/{HABIT}", mask=meant) for side in ("written", "mended"))
    return Experiment(*sides)


PITFALL = Pitfall(
    code="AP013",
    severity="high",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="flash_attn_func(q, k, v, causal=True, window_size=(sliding_window - 1, 0))",
    references=(
        "transformers#39408",
        "transformers#40163",
        "xformers#923",
        "Dao-AILab/flash-attention README, 2.3: local (i.e., sliding window) attention",
        "xformers@0.0.35:xformers/ops/fmha/attn_bias.py",
    ),
)
