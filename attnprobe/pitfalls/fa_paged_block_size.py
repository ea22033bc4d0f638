"""flash-attn 2 takes pages of 256 tokens, or multiples, only.

**What happens.** "Paged KV cache block size must be divisible by 256" from a cache with the pages of 16
to 64 tokens that vLLM, xFormers and FlashInfer use.

**Why.** A check before the launch asks for it: `page_block_size % 256 == 0`.

**Experiment.** flash_attn_with_kvcache on pages of 16 and of 256: it needs flash-attn 2, which is tried
by hand where it is installed.

**Remedy.** Pages of 256, or FlashInfer, or flash-attn 3.

**Versions.** flash-attn 2, and torch's varlen_attn with `block_table`, whose kernel it is.
"""

from __future__ import annotations

from attnprobe.core.diagnosis import Prediction
from attnprobe.diagnosis.rule import Pitfall, Untestable
from attnprobe.diagnosis.situation import Situation

HABIT = "pages-of-16"


def suspect(here: Situation) -> str | None:
    """Pages of 16 with flash-attn 2 or torch's copy of it."""
    if here.on_cuda and here.has(HABIT) and here.calls("flash-attn-2", "varlen"):
        return "pages hold 16 tokens, and the kernel wants a multiple of 256"
    return None


def predict(here: Situation) -> Prediction:
    """Its own words."""
    return Prediction("refused", 1, 1, "TORCH_CHECK in flash_api.cpp", "divisible by 256")


def experiment(here: Situation) -> Untestable:
    """No backend here speaks of pages."""
    return Untestable(
        "attnprobe makes no paged cache; one call of flash_attn_with_kvcache(q, k_pages, v_pages, "
        "block_table=table) on your cache shows it"
    )


PITFALL = Pitfall(
    code="AP111",
    severity="low",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="k_pages = k_cache.view(-1, 256, Hkv, K)  # block_table in units of 256 tokens",
    references=("Dao-AILab/flash-attention@v2.8.3:csrc/flash_attn/flash_api.cpp",),
)
