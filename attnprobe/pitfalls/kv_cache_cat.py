"""A cache that grows with torch.cat is copied whole for every token.

**What happens.** Decoding slows down with the length by more than attention does, and the allocator's
memory is fragmented by tensors that are each a little larger than the last.

**Why.** `cat` reads the cache and writes it elsewhere, two crossings of the memory bus for the one that
attention needs, in every layer and for every token.

**Experiment.** The call behind a `cat` of everything before the last token with the last one; the same
behind a copy of the last token alone.

**Remedy.** A cache with room for the longest text, the token written into its slot, and a slice of it
attended.

**Versions.** All: this is code around the call. A past that is itself a slice costs more: on an H200 12
times the call at 131,072 keys, since `cat` copies such parts at 0.6 TB/s.
"""

from __future__ import annotations

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation
from attnprobe.pitfalls._rates import cache_bytes, rates

HABIT = "cache-concatenated"
SLOWER = {"cuda": 3.5, "cpu": 6.0}
"""How much faster attention may read than `cat` copies. GPU: 3.6 TB/s against as little as 1 (H200).
CPU: fresh memory is mapped page by page."""


def suspect(here: Situation) -> str | None:
    """Worth a word where the copies take longer than launching them."""
    if not here.has(HABIT) or _least(here) < 1.05:
        return None
    mebibytes = cache_bytes(here.case) / 2**20
    return f"{mebibytes:.3g} MiB of cache are copied for every call with Mq={here.case.Mq}"


def predict(here: Situation) -> Prediction:
    """Attention reads the cache once, the copy reads and writes it."""
    most = 1 + 2 * SLOWER["cuda" if here.on_cuda else "cpu"]
    return Prediction(
        "time", _least(here), most, "three crossings of the memory bus where attention needs one"
    )


def experiment(here: Situation) -> Experiment:
    """One edit: what is copied."""
    return Experiment(here.arm(f"written/{HABIT}"), here.arm(f"mended/{HABIT}"))


def _least(here: Situation) -> float:
    """Attention at half the copy's rate, and small calls at their slowest."""
    case, has = here.case, rates(here)
    copied = 2 * cache_bytes(case) / has.bytes[1]
    operations = 4 * case.B * case.Hq * case.Mq * case.Mkv * case.K
    attention = max(operations / has.flops[0], 2 * cache_bytes(case) / has.bytes[1])
    return 1 + copied / (attention + has.call_s[1])


PITFALL = Pitfall(
    code="AP059",
    severity="medium",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix=(
        "k_cache[:, :, pos : pos + 1].copy_(k)  # v likewise\n"
        "F.scaled_dot_product_attention(q, k_cache[:, :, : pos + 1], v_cache[:, :, : pos + 1])"
    ),
    references=("huggingface/transformers docs kv_cache.md (StaticCache)",),
)
