"""A causal ring over contiguous parts waits for its last rank.

**What happens.** With n ranks the step takes 2 - 1/n times as long as the mean rank works: near twice.

**Why.** Work under a causal mask grows with the position: of n contiguous parts the last attends to
n - 1/2 parts, the mean to n / 2.

**Experiment.** The work of each of four ranks, timed one after the other on this device without the
exchange: contiguous, and as pairs of parts r and 2n - 1 - r.

**Remedy.** Head and tail parts together (zigzag), with position ids and labels in the same order;
torch's context_parallel does it by default.

**Versions.** Rings written by hand, and the basic variant of ring-flash-attention. On an H200 parts of
256 tokens, shorter than their launches, gave 1.41 of the 1.6 to 1.75 that the work says: such calls are
not suspected.
"""

from __future__ import annotations

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation
from attnprobe.pitfalls._work import fastest_s

HABIT = "ring-contiguous"
RANKS = 4
SHORT_S = 2e-4
"""A GPU's time for all parts below which launches, alike for all ranks, weigh in."""
NOISE = 0.1
"""Share by which a rank's time may lie off its work."""


def suspect(here: Situation) -> str | None:
    """Causal self-attention that can be cut into eight parts which outlast their launches."""
    case = here.case
    cut = case.Mq == case.Mkv and case.Mq % (2 * RANKS) == 0 and case.storage == "padded"
    if here.on_cuda and fastest_s(case) < SHORT_S:
        return None
    if here.has(HABIT) and case.mask.is_causal and cut and case.score.is_plain:
        return f"contiguous parts of {case.Mq} causal tokens: of {RANKS} ranks the last does 1.75 shares"
    return None


def predict(here: Situation) -> Prediction:
    """Parts attended by the last rank over the mean; a diagonal part costs half of one, or all of it."""
    skipped = (RANKS - 0.5) / (RANKS / 2)
    computed = RANKS / ((RANKS + 1) / 2)
    return Prediction(
        "value",
        computed * (1 - NOISE),
        skipped * (1 + NOISE),
        f"{RANKS} ranks: {RANKS - 0.5} parts over {RANKS / 2}, or {RANKS} over {(RANKS + 1) / 2}",
        "slowest rank over the mean",
    )


def experiment(here: Situation) -> Experiment:
    """One edit: which parts a rank holds."""
    return Experiment(here.arm(f"written/{HABIT}"), here.arm(f"mended/{HABIT}"))


PITFALL = Pitfall(
    code="AP123",
    severity="medium",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="with context_parallel(mesh, buffers=[q, k, v], buffer_seq_dims=[2, 2, 2]): ...  # balanced",
    references=("pytorch#132442", "AI-Hypercomputer/maxtext#4537"),
)
