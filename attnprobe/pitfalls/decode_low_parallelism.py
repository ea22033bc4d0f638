"""One query without split keys keeps B * Hq of the GPU's SMs busy.

**What happens.** Decoding at a small batch and a long context reads its cache at a few per cent of the
memory's bandwidth, and takes longer with every token.

**Why.** With one query there is one tile of queries per head. A kernel that does not split the keys has
B * Hq thread blocks, each of which walks the whole cache. Flash, compiled flex and xFormers'
triton_splitk split the keys over the idle SMs and merge the parts; the memory-efficient kernel does not,
and a dense mask or another reason to leave flash brings a call there.

**Experiment.** The same call with the flash kernel, which splits.

**Remedy.** Let flash take the call: no mask tensor (a bottom-right causal mask forbids one query
nothing), 16-bit types. Where heads share keys, the queries of a group can be one tile of Hq / Hkv rows.

**Versions.** On an H200 at B * Hq = 8 and 65,536 keys 26 times; the grid alone says 16.5, the rest is
that a block without others on its SM waits for what it loads. All of torch's and xFormers' CUTLASS
kernel. FlashAttention splits since 2.1, xFormers since 0.0.22.
"""

from __future__ import annotations

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation
from attnprobe.pitfalls import _grid

ALONE = 4.6
"""One SM of an otherwise idle GPU against its share of the memory: 64 bytes per clock from L2
against 3.35 TB/s / 132 / 1.83 GHz = 13.9 bytes on an H100; on an H200 it is 3.5."""
WAITING = 0.4
"""What a block reads, that waits for its own loads, against its SM's share of the memory: 15 GB/s of 36
(CUTLASS's kernel at K 128 on an H200, 8 blocks: 268 MB in 2.17 ms)."""
LONG = 4096
"""Keys below which the launch takes longer than the reading."""


def suspect(here: Situation) -> str | None:
    """A kernel without splits and so few blocks that even fast SMs cannot use the memory."""
    case = here.case
    unsplit = here.calls("sdpa-mem-efficient", "xformers-cutlass")
    if not here.on_cuda or not unsplit or case.Mq > _grid.DECODING or case.wants_backward:
        return None
    if case.Mkv < LONG or case.dtype == "float32" or _least(here) < 1.25:
        return None
    return (
        f"Mq={case.Mq} and B * Hq = {case.B * case.Hq}: {here.backend} has {_grid.blocks(here)} thread "
        f"blocks for {here.multiprocessors} SMs and {case.Mkv} keys"
    )


def predict(here: Situation) -> Prediction:
    """Blocks of a full grid over ours; a block alone may read faster than among all, or wait."""
    most = here.multiprocessors / _grid.blocks(here) / WAITING
    return Prediction(
        "time",
        _least(here),
        most,
        f"{here.multiprocessors} SMs over {_grid.blocks(here)} blocks; an SM alone reads at most "
        f"{ALONE:g} times as fast as one among all",
    )


def experiment(here: Situation) -> Experiment:
    """One edit: a kernel that splits the keys."""
    split = "xformers-fa2" if here.calls("xformers") else "sdpa-flash"
    return Experiment(here.arm(), here.arm(split))


def _least(here: Situation) -> float:
    return here.multiprocessors / _grid.blocks(here) / ALONE


PITFALL = Pitfall(
    code="AP060",
    severity="high",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix=(
        "with sdpa_kernel(SDPBackend.FLASH_ATTENTION):\n"
        "    F.scaled_dot_product_attention(q, k, v, enable_gqa=True)  # no mask, no is_causal"
    ),
    references=(
        "pytorch#142228",
        "facebookresearch/xformers CHANGELOG.md 0.0.22",
        "Dao-AILab/flash-attention csrc/flash_attn/flash_api.cpp num_splits_heuristic",
    ),
)
