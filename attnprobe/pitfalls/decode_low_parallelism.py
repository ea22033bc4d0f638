"""One query without split keys keeps B * Hq of the GPU's SMs busy.

**What happens.** Decoding at a small batch and a long context reads its cache at a few per cent of the
memory's bandwidth, and takes longer with every token.

**Why.** With one query there is one tile of queries per head. A kernel that does not split the keys has
B * Hq thread blocks, each of which walks the whole cache. Flash, compiled flex and xFormers'
triton_splitk split the keys over the idle SMs and merge the parts; the memory-efficient kernel does not,
and a dense mask or another reason to leave flash brings a call there.

**Experiment.** The same call with the flash kernel, which splits. Where flash does not take it
(float32, a mask) so many sequences that every SM has a block; compared is the time of each.

**Remedy.** Let flash take the call: no mask tensor (a bottom-right causal mask forbids one query
nothing), 16-bit types. Where heads share keys, the queries of a group can be one tile of Hq / Hkv rows.

**Versions.** On an H200 at B * Hq = 8 and 65,536 keys 26 times; the grid alone says 16.5, the rest is
that a block without others on its SM waits for what it loads. All of torch's and xFormers' CUTLASS
kernel. FlashAttention splits since 2.1, xFormers since 0.0.22.
"""

from __future__ import annotations

import math

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall, Untestable
from attnprobe.diagnosis.situation import Situation
from attnprobe.pitfalls import _dispatch, _grid

ALONE = 4.6
"""One SM of an otherwise idle GPU against its share of the memory: 64 bytes per clock from L2
against 3.35 TB/s / 132 / 1.83 GHz = 13.9 bytes on an H100; on an H200 it is 3.5."""
WAITING = 0.4
"""What a block reads, that waits for its own loads, against its SM's share of the memory: 15 GB/s of 36
(CUTLASS's kernel at K 128 on an H200, 8 blocks: 268 MB in 2.17 ms)."""
NOTABLE = 1.25
LARGEST_HEAD = 256
LONG = 4096
"""Keys below which the launch takes longer than the reading."""


def suspect(here: Situation) -> str | None:
    """A kernel without splits and so few blocks that even fast SMs cannot use the memory."""
    case = here.case
    if not here.on_cuda or case.Mq > _grid.DECODING or case.wants_backward:
        return None
    if not _is_unsplit(here) or case.Mkv < LONG or _least(here) < NOTABLE:
        return None
    return (
        f"Mq={case.Mq} and B * Hq = {case.B * case.Hq}: the memory-efficient kernel has "
        f"{_grid.blocks(here)} thread blocks for {here.multiprocessors} SMs and {case.Mkv} keys"
    )


def predict(here: Situation) -> Prediction:
    """Blocks of a full grid over ours; a block alone may read faster than among all, or wait."""
    found, sms = _grid.blocks(here), here.multiprocessors
    because = f"{sms} SMs over {found} blocks; an SM alone reads up to {ALONE:g} times as fast"
    if _flash_takes(here):
        return Prediction("time", _least(here), sms / found / WAITING, because)
    n = _times(here)
    return Prediction("time-per-sequence", min(_least(here), n / ALONE), n, because)


def experiment(here: Situation) -> Experiment | Untestable:
    """One edit: a kernel that splits the keys, or the batch."""
    if _flash_takes(here):
        split = "xformers-fa2" if here.calls("xformers") else "sdpa-flash"
        return Experiment(here.arm(), here.arm(split))
    if here.case.lengths is not None:
        return Untestable("a larger batch has other lengths too: two batches in one call test it")
    remedy = here.arm(dtype="bfloat16") if here.case.dtype == "float32" else None
    return Experiment(here.arm(), here.arm(B=here.case.B * _times(here)), remedy)


def _is_unsplit(here: Situation) -> bool:
    """Named, or what is left for float32."""
    case = here.case
    left = case.dtype == "float32" and case.groups == 1 and here.backend == "sdpa-default"
    return left or here.calls("sdpa-mem-efficient", "xformers-cutlass")


def _flash_takes(here: Situation) -> bool:
    case = here.case
    half = case.dtype in _dispatch.HALF
    return half and not _dispatch.has_mask_tensor(case) and case.K == case.Kv <= LARGEST_HEAD


def _times(here: Situation) -> int:
    """The power of two that gives every SM a block, within what memory holds."""
    wanted = here.multiprocessors / _grid.blocks(here)
    return 1 << min(math.ceil(math.log2(wanted)), 5)


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
