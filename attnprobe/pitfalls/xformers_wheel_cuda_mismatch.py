"""An xFormers built for another CUDA refuses every call.

**What happens.** The import warns that xFormers "can't load C++/CUDA extensions"; later every operator
refuses with "xFormers wasn't build with CUDA support".

**Why.** `_C.so` links one CUDA runtime: a wheel for CUDA 12 needs libcudart.so.12, and a torch for CUDA
13 brings libcudart.so.13. When the library does not load, all CUDA inputs are refused, those of
operators that torch or Triton supply included.

**Experiment.** The call as it is, and through `scaled_dot_product_attention`.

**Remedy.** The wheel for the CUDA version of this torch; or the missing runtime, loaded first.

**Versions.** xFormers 0.0.35 from PyPI (CUDA 12.8) beside torch for CUDA 13: seen on an H200 with torch
2.11.0+cu130. Since 0.0.34 the library uses torch's stable ABI, so that the runtime is all it lacks.
"""

from __future__ import annotations

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation
from attnprobe.pitfalls import _machine
from attnprobe.remedies import missing_library


def suspect(here: Situation) -> str | None:
    """A library of xFormers needs what the loader will not find."""
    return _machine.what(_said(here)) if here.on_cuda and here.calls("xformers") else None


def _said(here: Situation) -> str | None:
    return missing_library.matches(_machine.lacking(here, "xformers"), ())


def predict(here: Situation) -> Prediction:
    """Its own words."""
    why = "fmha/common.py refuses all CUDA inputs once _C.so did not load"
    return Prediction("refused", 1, 1, why, "xFormers wasn't build with CUDA support")


def experiment(here: Situation) -> Experiment:
    """One edit: the library."""
    return Experiment(here.arm(), here.arm("sdpa-default"))


PITFALL = Pitfall(
    code="AP089",
    severity="critical",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix=lambda here: _machine.way_out(_said(here)),
    references=(
        "xformers#1241",
        "xformers@0.0.35:xformers/_cpp_lib.py",
        "xformers@0.0.35:xformers/ops/fmha/common.py",
    ),
    once=True,
)
