"""What a script does around its calls becomes the habit of that name, and nothing else does."""

from __future__ import annotations

from dataclasses import replace

import pytest

from attnprobe.capture.replay import workload
from attnprobe.capture.replay.habits import _SHOWS, habits
from attnprobe.core.capture import ZERO_AND_ONE, Call, Capture
from attnprobe.core.mask import NONE, Mask
from attnprobe.device import habits as known
from attnprobe.masks.causal import causal
from tests.capture.captures import CAUSAL, TRAINING, call, mask, tensor

FOLDED = replace(
    call(), q=tensor((96, 1024, 64)), k=tensor((96, 1024, 64)), v=tensor((96, 1024, 64))
)
LEAST = mask("mixed", "float32", forbidding=(-3.4028234663852886e38,) * 2, empty_rows=5)
ADDED = mask(
    "causal", "float32", forbidding=(float("-inf"), -3.4028234663852886e38), padding_left=(0, 9)
)
PREFIX = mask("prefix", shape=(1024, 1024))
OBJECT = mask("causal", "CausalBias", mask=causal("bottom-right"), shape=(1024, 1024))
PADDING = mask("key-padding", "bool", broadcast="B,H,M,N", lengths=(9, 5))
FUTURE = mask("window", mask=Mask(-1, None, "top-left"), shape=(1024, 1024))
TAILS = mask("key-padding", mask=NONE, lengths=(0, 36, 76), padding_left=(0, 988, 948))
NUMBERS = ("mask-as-numbers",)
WIDE = tensor((2, 64, 8, 64), dtype="float32")
MIXED = replace(call(api="xformers", layout="BMHK"), q=WIDE, k=WIDE)


@pytest.mark.parametrize(
    ("seen", "names"),
    [
        (call(), ()),
        (call(is_causal=True, mask=CAUSAL), ()),
        (call(dropout_p=0.1, training=False), ("dropout-in-eval",)),
        (call(dropout_p=0.1, training=True), ()),
        (call(dropout_p=0.1), ()),
        (call(keys=(8, 1, 1024, 64)), ("heads-broadcast",)),
        (call(keys=(8, 1, 1024, 64), enable_gqa=True), ()),
        (FOLDED, ("heads-folded",)),
        (replace(FOLDED, api="hand-written"), ()),
        (call(mask=LEAST), ("mask-of-finfo-min",)),
        (call(mask=replace(LEAST, empty_rows=0)), ()),
        (call(mask=replace(LEAST, forbidding=(float("-inf"),) * 2)), ()),
        (call(is_causal=True, mask=PREFIX), ("mask-beside-flag",)),
        (call(mask=PREFIX), ()),
        (call(api="mha", is_causal=True, mask=PREFIX), ("mha-causal-hint",)),
        (call(api="mha", is_causal=True, mask=replace(PREFIX, kind="causal")), ()),
        (replace(call(mask=OBJECT), q=tensor((8, 12, 1, 64))), ("stale-causal-bias",)),
        (call(mask=OBJECT), ()),
        (call(mask=PADDING), ("key-mask-expanded",)),
        (call(mask=replace(PADDING, broadcast="B,1,1,N")), ()),
        (call(mask=replace(PADDING, kind="causal")), ()),
        (call(mask=ADDED), ("finfo-min-masks-added",)),
        (call(mask=replace(ADDED, padding_left=())), ()),
        (call(mask=replace(ADDED, forbidding=(float("-inf"),) * 2)), ()),
        (call(mask=FUTURE), ("inverted-mask",)),
        (call(mask=replace(FUTURE, form="float32")), ()),
        (call(mask=FUTURE, api="mha"), ()),
        (call(mask=TAILS), ("inverted-mask",)),
        (call(mask=replace(TAILS, lengths=(1024, 36, 76), padding_left=(0, 988, 948))), ()),
        (call(mask=replace(TAILS, padding_left=())), ()),
        (call(mask=mask("all-true", "float32", values="dense", note=ZERO_AND_ONE)), NUMBERS),
        (MIXED, ("rope-in-float32",)),
        (replace(MIXED, api="sdpa"), ()),
    ],
)
def test_a_habit_is_seen(seen: Call, names: tuple[str, ...]) -> None:
    """One thing different, and it is another habit or none."""
    assert habits(seen) == names


def test_all_of_them_exist() -> None:
    """A name that no file has would be refused by the workload."""
    assert set(_SHOWS) <= set(known.names())


def test_what_nobody_means_is_replayed_as_it_must_be_meant() -> None:
    """An inverted mask is turned, numbers become a mask of their own; the habits say what is done."""
    numbers = mask("all-true", "float32", broadcast="B,1,1,N", values="dense", note=ZERO_AND_ONE)
    calls = (call((3, 12, 1024, 64), mask=m) for m in (FUTURE, TAILS, numbers))
    future, tails, ones = (c.case for c in workload(Capture(script="x", calls=tuple(calls))).calls)
    assert future.mask == causal("top-left")
    assert tails.lengths is not None
    assert tails.lengths.kv == (1024, 988, 948)
    assert ones.score.bias is not None
    assert (ones.score.bias.forbids, ones.mask_form) == (True, "dense-bool")


def test_two_habits_on_one_case_stay_two_calls() -> None:
    """The same recipe, once dropped in eval mode and once in training."""
    there, here = call(dropout_p=0.1, training=False), call(dropout_p=0.1, training=True)
    found = workload(Capture(script="x.py", calls=(there, here)))
    assert [c.habits for c in found.calls] == [("dropout-in-eval",), ()]


def test_sound_training_has_none() -> None:
    """The golden capture."""
    assert all(c.habits == () for c in workload(TRAINING).calls)
