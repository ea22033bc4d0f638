"""torch 2.2 compiles away the padding that the memory-efficient kernel needs of a mask.

**What happens.** `attn_bias is not correctly aligned`, under `torch.compile` only.

**Why.** The kernel reads masks in rows of a multiple of eight elements. Outside a graph SDPA pads
the mask and slices it; in 2.2 the compiler took padding and slice for a copy that nobody needs.

**Experiment.** None on later versions: the compiled call on torch 2.2 against the uncompiled one
would show it.

**Remedy.** A later torch, or masks whose last dimension is a multiple of eight.

**Versions.** torch 2.2, on CUDA.
"""

from __future__ import annotations

from attnprobe.core.diagnosis import Prediction
from attnprobe.diagnosis.rule import Pitfall, Untestable
from attnprobe.diagnosis.situation import Situation


def suspect(here: Situation) -> str | None:
    """The version, a compiled call of SDPA on a GPU, and a tensor mask of odd rows."""
    case = here.case
    tensor = case.mask_form != "best" or case.score.bias is not None
    affected = here.on_cuda and here.release("torch")[:2] == (2, 2) and here.subject.needs.compile
    if affected and here.calls("sdpa") and tensor and case.Mkv % 8:
        return f"torch {here.versions['torch']} and a compiled mask with rows of {case.Mkv}"
    return None


def predict(here: Situation) -> Prediction:
    """Seen or not."""
    return Prediction(
        "refused", 1, 1, "the padding of the mask is compiled away", of="not correctly aligned"
    )


def experiment(here: Situation) -> Untestable:
    """A compiled call is no backend here, and the version is years old."""
    return Untestable(
        "torch.compile(F.scaled_dot_product_attention) with this mask on torch 2.2 would test it; "
        "a later torch ends it"
    )


PITFALL = Pitfall(
    code="AP087",
    severity="medium",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="pip install 'torch>=2.3'  # or pad: mask = F.pad(mask, (0, -Mkv % 8))[..., :Mkv]",
    references=("pytorch#121943",),
)
