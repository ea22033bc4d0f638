"""Who says causal with a flag that starts in the top left corner."""

from __future__ import annotations

from attnprobe.core.diagnosis import Experiment
from attnprobe.diagnosis.situation import Situation
from attnprobe.masks.causal import causal

MEANT = causal("bottom-right")
SDPA, XFORMERS = "is-causal-flag", "lower-triangular-mask"
FLAGS = {SDPA: "is_causal=True", XFORMERS: "LowerTriangularMask()"}


def habit(here: Situation) -> str:
    """The flag of the API that the code calls."""
    return XFORMERS if here.has(XFORMERS) or here.calls("xformers") else SDPA


def spoken(here: Situation) -> str:
    """How the flag is written."""
    return FLAGS[habit(here)]


def is_said(here: Situation) -> bool:
    """Whether the code says it, by habit or because its mask is that flag itself."""
    top_left = here.case.mask == causal("top-left") and here.case.Mq < here.case.Mkv
    return here.has(habit(here)) or (top_left and here.calls("sdpa", "xformers"))


def experiment(here: Situation) -> Experiment:
    """One edit: the flag, or the mask that is meant."""
    name = habit(here)
    right = "sdpa-default" if name == SDPA else f"mended/{name}"
    return Experiment(here.arm(f"written/{name}", mask=MEANT), here.arm(right, mask=MEANT))
