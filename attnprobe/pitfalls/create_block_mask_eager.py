"""create_block_mask builds the full mask of all pairs before it looks at blocks.

**What happens.** Making a mask takes more memory than attention with it, and tens of milliseconds; at
96,000 tokens it does not fit. A BlockMask itself has a few bytes for 128 x 128 pairs.

**Why.** Uncompiled, `create_block_mask` evaluates `mask_mod` on B x H x Q_LEN x KV_LEN indices, with a
tensor for every step of it, and then reduces them to blocks. Compiled, both are one kernel.

**Experiment.** The case's mask made by either; peak memory is divided by the pairs.

**Remedy.** `torch.compile(create_block_mask)`; None for B and H where the mask does not depend on them;
a mask made once and not in every step.

**Versions.** All of torch from 2.5. The argument `_compile` does the same and is deprecated in 2.13.
"""

from __future__ import annotations

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall, Untestable
from attnprobe.diagnosis.situation import Situation

HABIT = "block-mask-uncompiled"
LARGE = 2**20
"""Pairs from which the mask is a matter of megabytes."""
SHOWN = 4096
"""Tokens that show it: the mask of a long text would not fit."""


def suspect(here: Situation) -> str | None:
    """The code says so, and there are pairs enough."""
    case = here.case
    if not here.has(HABIT) or case.mask.is_none or case.Mq * case.Mkv < LARGE:
        return None
    return f"a mask of {case.Mq} x {case.Mkv} is evaluated pair by pair, as tensors"


def predict(here: Situation) -> Prediction:
    """A boolean of each pair at least, and what mask_mod makes on the way."""
    because = "a byte for each boolean, eight for each index or difference that is alive with it"
    return Prediction("value", 1, 18, because, of="bytes per pair")


def experiment(here: Situation) -> Experiment | Untestable:
    """One edit: the compiler."""
    if here.case.lengths is not None:
        return Untestable("shown for masks of one length; a case without lengths tests it")
    lengths = {"Mq": min(here.case.Mq, SHOWN), "Mkv": min(here.case.Mkv, SHOWN)}
    treatment = here.arm(f"written/{HABIT}", B=1, **lengths)
    return Experiment(treatment, here.arm(f"mended/{HABIT}", B=1, **lengths))


PITFALL = Pitfall(
    code="AP077",
    severity="high",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="create_block_mask = torch.compile(create_block_mask)",
    references=(
        "pytorch#134756",
        "vllm-project/speculators#731",
        "torch@2.13.0:torch/nn/attention/flex_attention.py (create_block_mask)",
    ),
)
