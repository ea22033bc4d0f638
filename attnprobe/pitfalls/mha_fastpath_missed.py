"""nn.MultiheadAttention outside eval mode misses its one-operator path.

**What happens.** Small calls of a layer in inference (a token, a short sentence) take two to four
times as long as they could.

**Why.** In eval mode, without gradients, with `batch_first=True`, an even number of heads, one
tensor as query, key and value and no float mask, the layer calls a single native operator. If one
condition fails it walks through Python and some twenty operators: 39 us against 14 us of host time
on one CPU core.

**Experiment.** The layer in training mode without gradients; the native operator.

**Remedy.** `mha.eval()` and `torch.inference_mode()`, boolean masks. For equal numbers in training
and evaluation the other way round: `torch.backends.mha.set_fastpath_enabled(False)`.

**Versions.** torch 1.12 and later. Folklore expects it to be faster always; it is where the host
sets the pace of a CPU. Long sequences lose: the operator holds all scores (at M = 512 and K = 32
13% slower with 4.5 times the memory). On an H200 both paths launch about as much (169 us against
157 us, torch 2.11), so that nothing is suspected there.
"""

from __future__ import annotations

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation

SLOW_US, FAST_US = 39, 14
"""Host time of the two paths at next to no work (torch 2.13, one quiet core)."""

HOSTS = 1.25
"""How much such a time differs from host to host, and beside another process on the same cores."""

RATES = (1e9, 1e10)
"""FLOP/s of one core on such small products, at least and at most."""

SMALL = 2e5
"""FLOPs above which the work weighs as much as what the host saves, at the higher rate."""


def suspect(here: Situation) -> str | None:
    """Inference through the slow path, the other conditions of the fast one met, and little work."""
    case = here.case
    inference = here.backend == "mha" and not case.wants_backward and not case.dropout_p
    takes = case.Mq == case.Mkv and not case.Hq % 2 and case.score.is_plain
    if here.on_cuda or not inference or not takes or case.mask_form == "dense-float":
        return None
    work = _flops(here)
    if work > SMALL:
        return None
    return f"no gradients, and {work:.2g} FLOPs are less than the host's part"


def _flops(here: Situation) -> float:
    """Four projections, and two products of attention."""
    case, width = here.case, here.case.Hq * here.case.K
    tokens = case.B * case.Mq
    return float(tokens * 8 * width * width + tokens * 4 * case.Mkv * width)


def predict(here: Situation) -> Prediction:
    """The host's part of both paths, and the work that both have."""
    most_us, least_us = (1e6 * _flops(here) / rate for rate in RATES)
    low = (SLOW_US / HOSTS + most_us) / (FAST_US * HOSTS + most_us)
    high = (SLOW_US * HOSTS + least_us) / (FAST_US / HOSTS + least_us)
    because = "39 us of host time against 14 us, a quarter more or less, and the same work"
    return Prediction("time", low, high, because)


def experiment(here: Situation) -> Experiment:
    """One edit: which path the layer takes."""
    return Experiment(here.arm(), here.arm("mha-fast-path"))


PITFALL = Pitfall(
    code="AP068",
    severity="low",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="mha.eval()\nwith torch.inference_mode():\n    out, _ = mha(x, x, x, need_weights=False)",
    references=(
        "torch@2.13.0:torch/nn/modules/activation.py (why_not_fast_path)",
        "pytorch#107084",
        "pytorch#176559",
    ),
)
