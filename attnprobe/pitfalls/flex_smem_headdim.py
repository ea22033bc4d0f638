"""FlexAttention's tiles of large head dims do not fit the shared memory of consumer GPUs.

**What happens.** "No valid triton configs" or "out of resource: shared memory" when the call is
compiled.

**Why.** The tile sizes that flex chooses by default are meant for the 163 to 227 KiB of shared memory
per block of A100 and H100. Compute capability 8.6, 8.9 and 12.x has 99 KiB.

**Experiment.** The same call with a head dim of 64, on such a GPU.

**Remedy.** Smaller tiles through `kernel_options`, or one stage of prefetching.

**Versions.** torch 2.5 and later on RTX 30, 40 and 50, A10, L4, L40; the table of tiles has been mended
GPU by GPU.
"""

from __future__ import annotations

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation

SMALL = ((8, 6), (8, 9), (12, 0), (12, 1))
"""99 KiB per block: CUDA C++ Programming Guide, technical specifications per compute capability."""
FITS = {"fwd": 191, "bwd": 128, "fwd+bwd": 128}
"""Largest head dim that nobody reported, by passes."""


def suspect(here: Situation) -> str | None:
    """Compiled flex with a large head dim on such a GPU."""
    case = here.case
    small = here.on_cuda and here.capability in SMALL
    if here.backend != "flex" or not small or max(case.K, case.Kv) <= FITS[case.passes]:
        return None
    gpu = here.environment.gpus[0].name
    return f"head dim {max(case.K, case.Kv)} and {case.passes} on {gpu} with 99 KiB per block"


def predict(here: Situation) -> Prediction:
    """No tile of flex's table fits."""
    return Prediction(
        "refused",
        1,
        1,
        "the default tiles of q, k and v alone take more than 99 KiB",
        of="No valid triton configs|out of resource|OutOfResources|NoValidChoicesError",
    )


def experiment(here: Situation) -> Experiment:
    """One edit: the head dim."""
    return Experiment(here.arm(), here.arm(K=64, Kv=64))


PITFALL = Pitfall(
    code="AP080",
    severity="medium",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix='flex_attention(q, k, v, kernel_options={"BLOCK_M": 32, "BLOCK_N": 32, "num_stages": 1})',
    references=("pytorch#133254", "pytorch#180278", "pytorch#198224"),
)
