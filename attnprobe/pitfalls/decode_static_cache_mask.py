"""Decoding reads a preallocated cache to its end, its unused part behind a mask.

**What happens.** A token takes as long at the beginning of a text as at its end: time depends on the
size of the cache and not on what it holds.

**Why.** A dense mask makes keys count as nothing after they were loaded and multiplied. It also keeps
flash away, the kernel that splits a long cache over the GPU.

**Experiment.** The same call with the cache cut to the longest sequence in it.

**Remedy.** Slice the cache, or say the lengths to a kernel that knows them: flash_attn_with_kvcache
(cache_seqlens), varlen_attn (seqused_k), xFormers' BlockDiagonalCausalWithOffsetPaddedKeysMask. Where a
CUDA graph needs fixed shapes, cut to the next of a few sizes.

**Versions.** All: this is code around the call.
"""

from __future__ import annotations

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation
from attnprobe.pitfalls._grid import DECODING
from attnprobe.pitfalls._rates import cache_bytes, rates

NOTABLE = 1.25
"""Less is no reason to slice."""
ON_TOP = {"cuda": 2.0, "cpu": 4.0}
"""What comes on top at most. GPU: the mask, 0.079 for 0.044 ms in cuDNN, 0.207 for 0.143 in
mem-efficient (H200). CPU: what is in use fits a cache that is several times as fast as the
memory."""


def suspect(here: Situation) -> str | None:
    """A few queries, keys in slots, and the longest sequence ends long before the slots do."""
    case = here.case
    if case.lengths is None or case.storage != "padded" or case.Mq > DECODING:
        return None
    used = _used(here)
    if not 0 < used < case.Mkv or _least(here) < NOTABLE:
        return None
    return f"Mq={case.Mq} attends at most {used} of the {case.Mkv} keys that are read"


def predict(here: Situation) -> Prediction:
    """Bytes of the cache over bytes in use, above what a call costs however short it is."""
    ratio = here.case.Mkv / _used(here)
    most = ratio * ON_TOP["cuda" if here.on_cuda else "cpu"]
    return Prediction("time", _least(here), most, f"{ratio:.3g} times the bytes, and a mask")


def experiment(here: Situation) -> Experiment:
    """One edit: the size of the cache."""
    return Experiment(here.arm(), here.arm(Mkv=_used(here)))


def _used(here: Situation) -> int:
    assert here.case.lengths is not None  # `suspect` has looked
    return max(here.case.lengths.kv)


def _least(here: Situation) -> float:
    """At the fastest memory, and with the longest that a call takes which reads nothing."""
    case, has = here.case, rates(here)
    whole = cache_bytes(case) / has.bytes[1]
    return (whole + has.call_s[1]) / (whole * _used(here) / case.Mkv + has.call_s[1])


PITFALL = Pitfall(
    code="AP058",
    severity="high",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="F.scaled_dot_product_attention(q, k[:, :, :used], v[:, :, :used])  # no mask",
    references=(
        "Dao-AILab/flash-attention README (flash_attn_with_kvcache)",
        "torch@2.13.0:torch/nn/attention/varlen.py (seqused_k)",
    ),
)
