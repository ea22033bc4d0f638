"""With fewer keys than values the CPU kernel reads behind the keys.

**What happens.** A cache whose K was not updated gives no error on a CPU but an output made of whatever
lies behind K in memory, differently every time; rarely the process dies with SIGBUS. On a GPU, and for
tensors of three dimensions, the same call raises.

**Why.** The CPU flash kernel takes the number of keys from V and never compares it with K.

**Experiment.** The call with K one token shorter than V, twice: what lies behind K, which is memory of
the experiment's own, differs. The share of rows whose output follows it; and with V as short as K.

**Remedy.** `assert k.size(-2) == v.size(-2)` where the cache is updated.

**Versions.** torch on CPUs, 2.13 included; a check was proposed in pytorch#193728.
"""

from __future__ import annotations

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.core.mask import NONE
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation

HABIT = "keys-one-short"


def suspect(here: Situation) -> str | None:
    """A CPU; elsewhere the call raises, which is loud."""
    case = here.case
    if here.has(HABIT) and not here.on_cuda and case.Mkv > 1 and not case.dropout_p:
        return f"K holds {case.Mkv - 1} tokens and V holds {case.Mkv}"
    return None


def predict(here: Situation) -> Prediction:
    """Without a mask every query attends the token that is not there; a few may round its weight off."""
    return Prediction("value", 0.9, 1.0, "every query attends a key behind the last", "behind")


def experiment(here: Situation) -> Experiment:
    """One edit: the length of V."""
    sides = (here.arm(f"{side}/{HABIT}", mask=NONE, lengths=None) for side in ("written", "mended"))
    return Experiment(*sides)


PITFALL = Pitfall(
    code="AP018",
    severity="high",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="assert k.size(-2) == v.size(-2), (k.shape, v.shape)",
    references=("pytorch#193728",),
)
