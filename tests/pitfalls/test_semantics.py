"""What the rules of semantics and numerics compute before anything runs, and whom they leave alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from attnprobe import masks, pitfalls
from attnprobe.core.case import Case, Lengths
from attnprobe.core.diagnosis import Subject
from attnprobe.core.mask import NONE, Mask
from attnprobe.core.score import Bias, Score
from attnprobe.device import inputs
from attnprobe.device.lowering import sdpa
from attnprobe.device.lowering.base import Lowered
from attnprobe.diagnosis.situation import Situation
from attnprobe.masks.causal import causal
from attnprobe.pitfalls import _masks, alibi_lowp_bias, causal_topleft_vs_bottomright
from tests.unit.fake_machine import MACHINE

PLAIN = Case(B=2, Hq=4, Hkv=4, Mq=8, Mkv=8, K=8, Kv=8)
LONG = PLAIN.edit(Mq=4096, Mkv=4096, K=128, Kv=128, Hkv=2, device="cuda")
TOP_LEFT, BOTTOM_RIGHT = causal("top-left"), causal("bottom-right")
WINDOW = masks.parse("sliding-window(left=4095, right=0, align=bottom-right)")
RULES = (
    "causal-topleft-vs-bottomright",
    "decode-is-causal-lq1",
    "causal-bias-object-stale",
    "mask-and-causal-both",
    "bool-mask-polarity",
    "float01-mask-as-additive",
    "mha-is-causal-hint-drops-mask",
    "mha-batch-first-default",
    "layout-bmhk-vs-bhmk",
    "sdpa-dropout-in-eval",
    "scale-mismatch",
    "window-size-off-by-one",
    "softcap-missing",
    "masked-nan-leak",
    "kv-length-mismatch-overread",
    "encoder-fastpath-zeroes-padding",
    "fully-masked-row",
    "mask-finfo-min-sum",
    "mask-finfo-min-cast",
    "alibi-lowp-bias",
    "manual-attention-lowp",
)

bands = st.builds(
    Mask,
    st.none() | st.integers(0, 6),
    st.none() | st.integers(0, 6),
    st.sampled_from(["top-left", "bottom-right"]),
)


def _here(case: Case, backend: str = "sdpa-default", *habits: str) -> Situation:
    subject = Subject(case, backend, habits)
    return Situation(subject, (subject,), case.device, MACHINE)


@given(bands, st.integers(1, 9), st.integers(1, 9))
def test_rows_without_keys_are_counted_without_looking_at_pairs(
    mask: Mask, Mq: int, Mkv: int
) -> None:
    """The arithmetic on diagonals agrees with the definition of the mask."""
    case = PLAIN.edit(mask=mask, Mq=Mq, Mkv=Mkv)
    assert _masks.empty_rows(case) == PLAIN.B * len(mask.empty_rows(Mq, Mkv))


def test_an_empty_sample_has_rows_without_keys_and_padding_has_none() -> None:
    """Queries behind a sequence's length belong to nobody."""
    assert _masks.empty_rows(PLAIN.edit(lengths=Lengths((8, 8), (8, 0)))) == 8
    assert _masks.empty_rows(PLAIN.edit(lengths=Lengths((8, 3), (8, 3)))) == 0


@pytest.mark.parametrize("form", ["best", "dense-bool", "dense-float"])
@pytest.mark.parametrize("lengths", [None, Lengths((8, 3), (8, 3))])
@pytest.mark.parametrize("score", [Score(), Score(bias=Bias())])
@pytest.mark.parametrize("text", ["causal(align=top-left)", "causal(align=bottom-right)"])
@pytest.mark.parametrize("Mq", [1, 5, 8])
def test_a_mask_is_a_tensor_where_sdpa_is_handed_one(
    Mq: int, text: str, score: Score, lengths: Lengths | None, form: str
) -> None:
    """The rules know without torch what the lowering does."""
    if lengths is not None:
        lengths = replace(lengths, q=tuple(min(n, Mq) for n in lengths.q))
    case = PLAIN.edit(
        Mq=Mq, mask=masks.parse(text), score=score, lengths=lengths, mask_form=form, dtype="float32"
    )
    lowered = sdpa.lower(inputs.make(case))
    if isinstance(lowered, Lowered):
        assert _masks.is_tensor(case) == ("attn_mask" in lowered.arguments)


@pytest.mark.parametrize("keys", [258, 300, 320, 512, 513, 1500, 4096, 8191, 8192])
def test_distances_in_bfloat16_are_counted(keys: int) -> None:
    """As many as torch keeps apart."""
    case = PLAIN.edit(Mq=keys, Mkv=keys, score=Score(alibi=True), dtype="float32")
    said = alibi_lowp_bias.predict(_here(case)).because
    assert said.startswith(f"{torch.arange(keys).bfloat16().unique().numel()} of {keys} ")


@pytest.mark.parametrize(("Mq", "Mkv"), [(3, 7), (7, 3), (5, 6)])
def test_pairs_of_both_alignments_are_counted(Mq: int, Mkv: int) -> None:
    """By the definition of the masks."""
    case = PLAIN.edit(Mq=Mq, Mkv=Mkv, mask=BOTTOM_RIGHT)
    said = causal_topleft_vs_bottomright.predict(_here(case)).because
    flag, meant = (m.picture(Mq, Mkv).count("1") for m in (TOP_LEFT, BOTTOM_RIGHT))
    assert (
        said == f"the flag lets {flag} pairs attend, a diagonal that ends at the last key {meant}"
    )


INNOCENT = {
    "training": _here(LONG.edit(mask=TOP_LEFT)),
    "training with dropout": _here(LONG.edit(mask=TOP_LEFT, dropout_p=0.1)),
    "a forward with dropout": _here(LONG.edit(dropout_p=0.1, passes="fwd")),
    "chunked prefill": _here(LONG.edit(Mq=512, mask=BOTTOM_RIGHT)),
    "decoding": _here(LONG.edit(Mq=1, mask=BOTTOM_RIGHT, passes="fwd")),
    "decoding without a mask": _here(LONG.edit(Mq=1, passes="fwd")),
    "xformers with classes": _here(LONG.edit(Mq=512, mask=BOTTOM_RIGHT), "xformers-default"),
    "Mistral's window": _here(LONG.edit(Mkv=8192, Mq=8192, mask=WINDOW), "xformers-fa2"),
    "padding": _here(LONG.edit(lengths=Lengths((4096, 300), (4096, 300)))),
    "a prefix": _here(LONG.edit(mask=masks.parse("prefix-lm(prefix=64, align=top-left)"))),
    "soft cap by flex": _here(LONG.edit(score=Score(softcap=50.0)), "flex"),
    "soft cap by hand": _here(LONG.edit(score=Score(softcap=50.0)), "eager"),
    "by hand in float32": _here(LONG.edit(dtype="float32"), "eager"),
    "odd head dims": _here(LONG.edit(K=60, Kv=60, mask=TOP_LEFT)),
    "folded windows": _here(LONG.edit(B=1, Hq=1024, Hkv=1024, Mq=49, Mkv=49)),
    "ALiBi": _here(LONG.edit(score=Score(alibi=True), mask=TOP_LEFT)),
    "the layer": _here(LONG.edit(Hkv=4, mask=TOP_LEFT), "mha"),
    "cross-attention": _here(LONG.edit(Mq=77, mask=NONE)),
    "a key to spare": _here(LONG.edit(Mq=4000, mask=BOTTOM_RIGHT), "sdpa-mem-efficient"),
}


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("call", INNOCENT)
def test_innocent_calls_are_left_alone(call: str, name: str) -> None:
    """Calls of sound models raise no suspicion of a wrong result."""
    assert pitfalls.load(name).suspect(INNOCENT[call]) is None
