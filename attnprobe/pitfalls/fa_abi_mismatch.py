"""A flash-attn built for another torch cannot be imported.

**What happens.** ImportError: flash_attn_2_cuda...: undefined symbol: _ZN3c105Error...

**Why.** The extension is compiled against one torch release and one C++ ABI. pip takes a wheel by the
torch it sees while installing, keeps it in its cache, and leaves it in place when torch is upgraded.

**Experiment.** The call as it is, and through torch's own flash kernel.

**Remedy.** The wheel whose name says this torch and this cxx11abi, or a build on this machine with
`--no-build-isolation --no-cache-dir`.

**Versions.** Wheels exist for torch 2.1 to 2.6 (flash-attn 2.7.4), 2.4 to 2.7 (2.8.0 to 2.8.2), 2.4 to
2.8 (2.8.3). A local build may serve any torch: the experiment tells.
"""

from __future__ import annotations

import re

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation

NEWEST_TORCH: dict[tuple[int, ...], tuple[int, int]] = {
    (2, 7, 4): (2, 6),
    (2, 8, 0): (2, 7),
    (2, 8, 1): (2, 7),
    (2, 8, 2): (2, 7),
    (2, 8, 3): (2, 8),
}
"""Newest torch that a release has wheels for: `.github/workflows/publish.yml` of its tag."""


def suspect(here: Situation) -> str | None:
    """The wheel's local version names another torch, or no wheel of this release was built for it."""
    flash, torch = here.release("flash-attn"), here.release("torch")[:2]
    if not here.on_cuda or not here.calls("flash-attn-2") or not flash or not torch:
        return None
    version = here.versions["flash-attn"]
    named = re.search(r"torch(\d+)\.(\d+)", version)
    if named:
        built = (int(named[1]), int(named[2]))
        return (
            None
            if built == torch
            else f"flash-attn {version} was built for another torch than {_text(torch)}"
        )
    newest = NEWEST_TORCH.get(flash[:3])
    if newest is None or torch <= newest:
        return None
    return f"flash-attn {version} has wheels up to torch {_text(newest)}; this is {_text(torch)}"


def _text(release: tuple[int, ...]) -> str:
    return ".".join(map(str, release))


def predict(here: Situation) -> Prediction:
    """The loader's words."""
    return Prediction(
        "refused", 1, 1, "C++ symbols of torch change with its releases", "undefined symbol"
    )


def experiment(here: Situation) -> Experiment:
    """One edit: the library."""
    return Experiment(here.arm(), here.arm("sdpa-flash"))


PITFALL = Pitfall(
    code="AP107",
    severity="high",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="pip install flash-attn --no-build-isolation --no-cache-dir --force-reinstall --no-deps",
    references=(
        "flash-attention#1717",
        "flash-attention#1832",
        "Dao-AILab/flash-attention@v2.8.3:.github/workflows/publish.yml",
    ),
    once=True,
)
