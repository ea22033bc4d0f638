"""A small batch of few heads leaves most of the GPU without work.

**What happens.** Time per sequence falls when the batch grows, for one sequence takes as long as
several. The GPU's load is shown as 100%, because one busy SM of 132 is enough for that.

**Why.** A fused kernel gives a tile of queries of one head to one thread block: there are
B * Hq * ceil(Mq / tile) of them, tile 64 or 128. Fewer blocks than SMs leave SMs idle. Kernels of 2022
had one block per head in the backward, hence the advice to have B * Hq above 100; since xFormers 0.0.20
the sequence is shared out as well, and long sequences fill a GPU with a few heads.

**Experiment.** The same call with so many times the sequences that every SM has two blocks; time per
sequence is compared.

**Remedy.** Larger micro-batches, several short sequences packed into one call, fewer and longer calls.
Flash splits the keys of a forward without gradients by itself.

**Versions.** All GPUs; worst on V100 and with xFormers before 0.0.20. The advice of a hundred heads is
tried for xFormers as it was given, and on a GPU of today refuted where the grid is full.
"""

from __future__ import annotations

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation
from attnprobe.pitfalls import _grid

ADVISED = 100
"""B * Hq of xformers#700."""
NOTABLE = 1.25
"""Less than this per sequence is no reason to change a batch."""
CLOCK = 0.8
"""A full GPU clocks lower: cuDNN read 5 to 17% slower at the power limit of an H200."""


def suspect(here: Situation) -> str | None:
    """So few blocks that much of the GPU is idle; or the old advice, where it was given."""
    case = here.case
    if not here.on_cuda or not _grid.is_fused(here) or case.Mq <= _grid.DECODING:
        return None
    if here.backend == "sdpa-flash" and not case.wants_backward:
        return None  # its forward splits the keys where blocks are few
    found, heads = _grid.blocks(here), case.B * case.Hq
    grid = f"{found} thread blocks on {here.multiprocessors} SMs"
    if _expected(here) >= NOTABLE:
        return f"B={case.B} Hq={case.Hq} Mq={case.Mq} is {grid}"
    if here.calls("xformers") and heads < ADVISED:
        return f"B * Hq = {heads}, where {ADVISED} are advised; today that is {grid}"
    return None


def predict(here: Situation) -> Prediction:
    """Waves of blocks; at most all of the larger batch is free."""
    n, expected = _times(here), _expected(here)
    if expected < NOTABLE:
        return Prediction(
            "time-per-sequence", NOTABLE, n, "xformers#700's advice of 2023; the grid says full"
        )
    return Prediction(
        "time-per-sequence",
        expected,
        n,
        f"waves of {_grid.blocks(here)} and {_grid.blocks(here) * n} blocks on "
        f"{here.multiprocessors} SMs, at clocks up to {1 - CLOCK:.0%} lower on a full GPU",
    )


def experiment(here: Situation) -> Experiment:
    """One edit: the batch."""
    return Experiment(here.arm(), here.arm(B=here.case.B * _times(here)))


def _times(here: Situation) -> int:
    """The power of two that gives every SM two blocks, and the advised number of heads."""
    n = 2
    while (
        n
        * min(_grid.blocks(here) / (2 * here.multiprocessors), here.case.B * here.case.Hq / ADVISED)
        < 1
    ):
        n *= 2
    return min(n, 64)


def _expected(here: Situation) -> float:
    """Time per sequence over that of the larger batch, when every wave takes equally long."""
    n, found, sms = _times(here), _grid.blocks(here), here.multiprocessors
    waves, waves_of_n = -(-found // sms), -(-n * found // sms)
    return CLOCK * n * waves / waves_of_n


PITFALL = Pitfall(
    code="AP061",
    severity="medium",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="batch = 8 * batch  # or pack sequences: varlen_attn(q, k, v, cu_seq, cu_seq, max_len, max_len)",
    references=(
        "facebookresearch/xformers#700",
        "facebookresearch/xformers CHANGELOG.md 0.0.20",
        "arXiv:2307.08691 section 3.2",
    ),
)
