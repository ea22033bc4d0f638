"""xFormers' cutlass operator stops at compute capability 9.0.

**What happens.** On a B200 or an RTX 50: "requires device with capability <= (9, 0) ... (too new)".
float32, a tensor bias or a head dim above 256 find no operator at all.

**Why.** cutlass and FA3 are capped at 9.0. What is left takes 16 bits and no tensor bias: FA2, and
cutlass-blackwell, which is not among the operators that are chosen by themselves.

**Experiment.** The call as it is, and through torch's memory-efficient kernel, which has no cap.

**Remedy.** `scaled_dot_product_attention` for those calls.

**Versions.** xFormers 0.0.33 to 0.0.35 on compute capability 10 and above.
"""

from __future__ import annotations

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation
from attnprobe.remedies import xformers_capability


def suspect(here: Situation) -> str | None:
    """Only for what nothing but cutlass takes."""
    if not here.on_cuda or not here.calls("xformers") or here.capability is None:
        return None
    needs = _needs_cutlass(here)
    if not needs or not xformers_capability.ends_below(here.release("xformers"), here.capability):
        return None
    major, minor = here.capability
    return f"{needs} takes xFormers' cutlass operator, and this GPU has capability {major}.{minor}"


def _needs_cutlass(here: Situation) -> str:
    case = here.case
    dense = case.mask_form != "best" and not case.mask.is_none
    if here.backend == "xformers-cutlass":
        return "the code"
    if case.dtype == "float32":
        return "float32"
    if case.score.bias is not None or dense:
        return "a tensor bias"
    return f"head dim {case.K}" if case.K > 256 else ""


def predict(here: Situation) -> Prediction:
    """Its own words."""
    why = "CUDA_MAXIMUM_COMPUTE_CAPABILITY = (9, 0) in fmha/cutlass.py"
    return Prediction("refused", 1, 1, why, "too new")


def experiment(here: Situation) -> Experiment:
    """One edit: the library."""
    return Experiment(here.arm(), here.arm("sdpa-mem-efficient"))


PITFALL = Pitfall(
    code="AP099",
    severity="high",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="F.scaled_dot_product_attention(*(t.transpose(1, 2) for t in (q, k, v)), attn_mask=bias)",
    references=("xformers#1356", "xformers@0.0.35:xformers/ops/fmha/cutlass.py"),
)
