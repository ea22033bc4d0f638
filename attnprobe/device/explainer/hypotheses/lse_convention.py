"""A log-sum-exp in another unit: base 2, or without what the scale adds.

Kernels that exponentiate with exp2 hold it in base 2; some leave log(scale) out or count it twice.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from attnprobe.device.explainer.seen import Seen, Variant
from attnprobe.device.inputs import Outputs

KIND = "result"


def variants(seen: Seen) -> Iterator[Variant]:
    """Conventions that occur."""
    if "lse" not in seen.unexplained:
        return
    s = seen.inputs.case.scale
    yield _variant(seen, "the log-sum-exp is in base 2", math.log(2.0), 0.0)
    yield _variant(seen, "the log-sum-exp is multiplied by ln 2", 1 / math.log(2.0), 0.0)
    yield _variant(seen, "the log-sum-exp has the wrong sign", -1.0, 0.0)
    if s > 0 and s != 1:
        yield _variant(seen, "the log-sum-exp is shifted by log(scale)", 1.0, -math.log(s))
        yield _variant(seen, "the log-sum-exp is shifted by -log(scale)", 1.0, math.log(s))


def _variant(seen: Seen, says: str, factor: float, shift: float) -> Variant:
    def undo(outputs: Outputs) -> Outputs:
        assert outputs.lse is not None
        return replace(outputs, lse=outputs.lse.double() * factor + shift)

    return Variant(says, seen.inputs, undo, of=("lse",))
