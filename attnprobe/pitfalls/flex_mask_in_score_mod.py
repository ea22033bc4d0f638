"""A mask inside score_mod hides scores after they were computed: no block is skipped.

**What happens.** A sliding window, or documents in one row, cost as much as full attention.

**Why.** `score_mod` is applied to each score of each tile. What lets a kernel leave tiles out is the
BlockMask, and nothing derives one from a `score_mod`.

**Experiment.** The case's mask as `torch.where(allowed, score, -inf)`, and as the BlockMask of the same
function.

**Remedy.** Conditions on positions into `create_block_mask(mask_mod, ...)`; what changes a score stays
in `score_mod`.

**Versions.** All of torch from 2.5.
"""

from __future__ import annotations

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation
from attnprobe.pitfalls import _skipping

HABIT = "flex-mask-in-score-mod"
SHOWN = 0.5
"""Share of the skipped tiles that shows at least: the tiles that stay ask the mask too, launching and
the ends of rows stay."""


def suspect(here: Situation) -> str | None:
    """The code says so, and there are tiles to skip."""
    case = here.case
    if not here.has(HABIT) or not case.mask.is_band or _gain(here) * SHOWN < _skipping.WORTH:
        return None
    return f"{1 - 1 / _gain(here):.0%} of the 128 x 128 blocks are masked, and none is skipped"


def predict(here: Situation) -> Prediction:
    """Blocks in all over blocks that the mask touches."""
    gain = _gain(here)
    because = f"{gain:.3g} times the blocks, and a comparison for every score"
    return Prediction("time", SHOWN * gain, 1.5 * gain, because)


def experiment(here: Situation) -> Experiment:
    """One edit: where the mask stands."""
    return Experiment(here.arm(f"written/{HABIT}"), here.arm("flex"))


def _gain(here: Situation) -> float:
    """Flex has blocks of 128 on every device."""
    return _skipping.share(here.case, on_cuda=True)


PITFALL = Pitfall(
    code="AP078",
    severity="high",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix=(
        "block_mask = create_block_mask(mask_mod, None, None, Mq, Mkv)\n"
        "out = flex_attention(q, k, v, block_mask=block_mask)"
    ),
    references=("https://docs.pytorch.org/docs/stable/nn.attention.flex_attention.html",),
)
