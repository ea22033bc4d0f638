"""The mask that a script must mean, where nobody means what it passes; a habit says what it does."""

from __future__ import annotations

from dataclasses import replace

from attnprobe.capture.replay.habits import habits
from attnprobe.capture.replay.pairs import LEFT, Pairs
from attnprobe.capture.replay.shapes import Dims
from attnprobe.core.capture import Call
from attnprobe.masks.causal import causal

INVERTED = "its mask is replayed the other way round, with what it does as the habit inverted-mask"
NUMBERS = "its mask of 0 and 1 is replayed by random pairs, and as the habit mask-as-numbers"


def meant(call: Call, passed: Pairs, dims: Dims) -> Pairs:
    """The pairs that are meant.

    Args:
        call: What was seen.
        passed: What it passed.
        dims: Its sizes.
    """
    done = habits(call)
    if "inverted-mask" in done:
        return _turned(passed, dims)
    if "mask-as-numbers" in done and passed.bias is not None:
        bias = replace(passed.bias, forbids=True, dtype=None)
        said = (*passed.unsaid, NUMBERS)
        return replace(passed, bias=bias, form="dense-bool", unsaid=said)
    return passed


def _turned(passed: Pairs, dims: Dims) -> Pairs:
    unsaid = (*(said for said in passed.unsaid if said != LEFT), INVERTED)
    if passed.lengths is None:
        return replace(passed, mask=causal(passed.mask.align), unsaid=unsaid)
    kept = tuple(dims.Mkv - length for length in passed.lengths.kv)
    return replace(passed, lengths=replace(passed.lengths, kv=kept), unsaid=unsaid)
