"""A small batch of few heads leaves most of the GPU without work.

**What happens.** Time per sequence falls when the batch grows: one sequence takes as long as
several. The GPU's load is shown as 100%, because one busy SM of 132 is enough for that.

**Why.** A fused kernel gives a tile of queries of one head to one thread block: there are B * Hq *
ceil(Mq / tile) of them, tile 64 or 128. Fewer blocks than SMs leave SMs idle, and so does the end of a
few waves of blocks that a causal mask made uneven. Kernels of 2022 had one block per head in the
backward, hence the advice to have B * Hq above 100; since xFormers 0.0.20 the sequence is shared out as
well, and long sequences fill a GPU with a few heads.

**Experiment.** The same call with so many times the sequences that every SM has two blocks; compared is
the GPU's own time per sequence. What the host takes to launch a short call is another matter.

**Remedy.** Larger micro-batches, several short sequences packed into one call, fewer and longer calls.
Flash splits the keys of a forward without gradients by itself.

**Versions.** All GPUs; worst on V100 and with xFormers before 0.0.20. The advice of a hundred heads is
tried for xFormers as it was given. On an H200 16 heads of 2048 tokens in float32 took 1.07 times the
time per sequence of 128 heads, which refutes it, but 1.48 times with a causal mask: its blocks are
launched the short ones first, and the last long ones find the others done.
"""

from __future__ import annotations

import math

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall, Untestable
from attnprobe.diagnosis.situation import Situation
from attnprobe.pitfalls import _dispatch, _grid

ADVISED = 100
"""B * Hq of xformers#700."""
NOTABLE = 1.2
"""Less than this per sequence is no reason to change a batch."""
CLOCK = 0.95
"""A full GPU clocks a little lower than one that is half idle."""


def suspect(here: Situation) -> str | None:
    """So few blocks that much of the GPU is idle; or the old advice, where it was given."""
    case = here.case
    if not here.on_cuda or not _grid.is_fused(here) or case.Mq <= _grid.DECODING:
        return None
    if not case.wants_backward and _is_flash(here):
        return None  # its forward splits the keys where blocks are few
    found, heads = _grid.blocks(here), case.B * case.Hq
    grid = f"{found} thread blocks on {here.multiprocessors} SMs"
    if _grid.starvation(here, _times(here))[0] * CLOCK >= NOTABLE:
        return f"B={case.B} Hq={case.Hq} Mq={case.Mq} is {grid}"
    if here.calls("xformers") and heads < ADVISED:
        return f"B * Hq = {heads}, where {ADVISED} are advised; today that is {grid}"
    return None


def predict(here: Situation) -> Prediction:
    """Blocks scheduled onto SMs, one to three on each; or what the advice says."""
    n, found, sms = _times(here), _grid.blocks(here), here.multiprocessors
    low, high = _grid.starvation(here, n)
    schedule = f"{found} and {found * n} blocks on {sms} SMs, one to three on each"
    if low * CLOCK >= NOTABLE:
        return Prediction("time-per-sequence", low * CLOCK, high, f"schedule of {schedule}")
    because = f"xformers#700's advice; a schedule of {schedule}, says {low:.3g} to {high:.3g}"
    return Prediction("time-per-sequence", NOTABLE, max(NOTABLE, n), because)


def experiment(here: Situation) -> Experiment | Untestable:
    """One edit: the batch."""
    if here.case.lengths is not None:
        return Untestable("a larger batch has other lengths too: two batches in one call test it")
    return Experiment(here.arm(), here.arm(B=here.case.B * _times(here)))


def _is_flash(here: Situation) -> bool:
    chosen = (
        here.backend == "sdpa-default"
        and here.case.dtype in _dispatch.HALF
        and not _dispatch.has_mask_tensor(here.case)
        and not _dispatch.cudnn_runs(here)
    )
    return chosen or here.backend == "sdpa-flash"


def _times(here: Situation) -> int:
    """The power of two that gives every SM two blocks; the advised heads where it has one already."""
    found, sms = _grid.blocks(here), here.multiprocessors
    wanted = 2 * sms / found
    if found >= sms:
        wanted = max(wanted, ADVISED / (here.case.B * here.case.Hq))
    return int(min(2 ** max(1, math.ceil(math.log2(wanted))), 64))


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
