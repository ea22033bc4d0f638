"""Planted bugs get the right cause named; what is right, and what nobody foresaw, gets none."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from typing import Any

import pytest
import torch

from attnprobe import masks
from attnprobe.core.case import Case, Lengths
from attnprobe.core.parity import Parity
from attnprobe.core.score import Bias, Score
from attnprobe.device.explainer import explain, hypotheses
from attnprobe.device.inputs import Outputs, make
from attnprobe.device.numerics.judge import judge
from attnprobe.device.reference import compute
from tests.mutation import gradients, memory, precision, right, scores
from tests.mutation import masks as who
from tests.mutation.base import Attention

Explained = Callable[[Callable[..., Any], Case], Parity]

NONE = Case(B=2, Hq=4, Hkv=2, Mq=70, Mkv=70, K=16, Kv=16, dtype="float32")
CAUSAL = NONE.edit(mask=masks.parse("causal(align=top-left)"))
WIDE = CAUSAL.edit(Mkv=90, Hkv=4)
BOTTOM = NONE.edit(Mkv=40, mask=masks.parse("causal(align=bottom-right)"))
ARBITRARY = NONE.edit(mask=masks.parse("arbitrary(seed=1, percent=50)"))
PADDING = NONE.edit(Hkv=4, lengths=Lengths((70, 70), (70, 33)))
BIAS_B = NONE.edit(score=Score(bias=Bias(True, False, True, True, requires_grad=True)))
BIAS_H = NONE.edit(score=Score(bias=Bias(False, True, True, True, requires_grad=True)))
BIAS_1 = NONE.edit(score=Score(bias=Bias(False, False, True, True, requires_grad=True)))
SCALE = NONE.edit(score=Score(scale=0.1))
ALIBI = CAUSAL.edit(Hkv=4, score=Score(alibi=True))
MHA = NONE.edit(Hkv=4)

PLANTED: list[tuple[type[Attention], Case, str, str]] = [
    (who.CausalStrict, CAUSAL, "out", "one key too few on its right"),
    (who.CausalOneAhead, CAUSAL, "out", "one key too many on its right"),
    (who.CausalOneAhead, CAUSAL.edit(dtype="bfloat16"), "dv", "one key too many on its right"),
    (who.CausalBottomRight, WIDE, "out", "aligned bottom-right instead of top-left"),
    (who.CausalByTile, CAUSAL, "out", "tested per tile of 16"),
    (who.CausalForgotInLastTile, CAUSAL, "out", "(keys 64 to 69) is not masked"),
    (who.OneLeakAtTileEdge, CAUSAL, "out", "query 15 also attends key 16"),
    (who.LastKeyNeverSeen, CAUSAL, "out", "last key is never attended"),
    (who.FirstKeyAlwaysSeen, BOTTOM, "out", "key 0 is attended by every row"),
    (who.MaskInverted, ARBITRARY, "dq", "the mask is inverted"),
    (who.MaskInverted, PADDING, "out", "the mask is inverted"),
    (who.MaskOfFirstBatch, PADDING, "out", "uses the mask of the first"),
    (who.MaskOfFirstHead, BIAS_H, "out", "every head uses the bias of the first"),
    (who.MaskTransposed, ARBITRARY, "out", "rows and columns exchanged"),
    (who.MaskIgnored, ARBITRARY, "out", "the mask is ignored"),
    (who.MaskShifted, ARBITRARY, "out", "one column too early"),
    (who.FiniteMask, BOTTOM, "out", "average all values"),
    (who.SmallFiniteMask, BOTTOM, "out", "lowered by 20"),
    (who.OneHeadLeaks, ARBITRARY, "out", "single pairs"),
    (who.EmptyRowsAreNaN, BOTTOM, "out", "0 / 0"),
    (who.WindowForgotten, CAUSAL, "out", "more than 47 before the query"),
    (scores.ScaleMissing, NONE, "out", "the scale is missing"),
    (scores.ScaleMissing, NONE.edit(dtype="bfloat16"), "dk", "the scale is missing"),
    (scores.ScaleTwice, NONE, "dq", "the scale is applied twice"),
    (scores.ScaleIgnored, SCALE, "out", "the given scale is ignored"),
    (scores.ScaleOfPaddedHeadDim, NONE.edit(K=40, Kv=40), "out", "padded to 128"),
    (scores.ScaleOnePercentOff, NONE, "out", "1.01 times the right one"),
    (scores.HeadsRepeated, NONE, "out", "tiled instead of repeated"),
    (scores.GradientOfFirstHeadOnly, NONE, "dk", "only the first query head of each group"),
    (scores.GradientMeanOfGroup, NONE, "dv", "averaged over the query heads"),
    (scores.LastKeyHeadForAll, NONE, "out", "the last key head"),
    (scores.BiasScaled, BIAS_B.edit(K=64, Kv=64), "out", "multiplied by the scale"),
    (scores.BiasOfFirstBatch, BIAS_B, "out", "every batch element uses the bias of the first"),
    (scores.BiasRowBroadcast, BIAS_B, "out", "every row uses the bias of row 0"),
    (scores.BiasDropped, BIAS_1, "out", "the bias is dropped"),
    (scores.BiasDropped, BIAS_B, "dv", "the bias is dropped"),
    (scores.BiasInBfloat16, BIAS_H, "out", "the bias is rounded to bfloat16"),
    (scores.BiasRowBroadcast, ALIBI, "out", "every row uses the additive mask of row 0"),
    (precision.ProbabilitiesInBfloat16, NONE, "out", "no more error than"),
    (precision.ScoresInHalfOfFloat32, NONE, "out", "TF32"),
    (precision.DenominatorWithoutLastKey, NONE, "out", "the softmax's sum is wrong"),
    (precision.EpsilonInDenominator, NONE, "out", "the softmax's sum is wrong"),
    (precision.OutputGain, NONE, "out", "multiplied by 1.0156"),
    (gradients.NoDelta, CAUSAL, "dq", "left out of the backward"),
    (gradients.NoDelta, CAUSAL, "dk", "left out of the backward"),
    (gradients.DeltaInBfloat16, CAUSAL, "dq", "of the backward is wrong, row by row"),
    (gradients.DeltaOfFirstHead, CAUSAL, "dk", "of the backward is wrong, row by row"),
    (gradients.NoScaleInDk, NONE, "dk", "not multiplied by the scale"),
    (gradients.ScaleTwiceInDq, NONE, "dq", "multiplied by the scale twice"),
    (gradients.DqIsZero, NONE, "dq", "all of it never written"),
    (gradients.DqTailIsZero, NONE, "dq", "query rows 64 to 69 of 70"),
    (gradients.DkWrongSign, MHA, "dk", "wrong sign) in key head 3 of 4"),
    (gradients.DkShifted, NONE, "dk", "one row too far"),
    (gradients.DvGain, NONE, "dv", "multiplied by 1.0156"),
    (gradients.DvMissesLastQuery, NONE, "dv", "all queries but the last"),
    (gradients.DbiasNotSummed, BIAS_H, "dbias", "only the first batch element"),
    (gradients.DbiasOfFirstHead, BIAS_B, "dbias", "only the first head"),
    (gradients.DbiasScaled, BIAS_B, "dbias", "multiplied by 0.125"),
    (gradients.DoutStrideBlind, MHA.edit(layout="BMHK"), "dv", "dout is read as if it were cont"),
    (memory.LastKeysDropped, NONE, "out", "(keys 64 to 69) is never visited"),
    (memory.StaleValueTile, MHA, "out", "16 values of the head before"),
    (memory.OddHeadDimTruncated, NONE.edit(K=17, Kv=17), "out", "the last column of q and k"),
    (memory.HeadDimBeyond64Ignored, NONE.edit(K=128), "out", "columns from 96 on"),
    (memory.KeysBeyond1000Ignored, NONE.edit(Mq=8, Mkv=1030), "out", "keys from 1000 on"),
    (memory.WrongBeyond512Queries, NONE.edit(Mq=600, Hq=2), "out", "1.05 in query rows 512 to 599"),
    (memory.WrongAt17Keys, NONE.edit(Mkv=17), "out", "replaced by the one before it"),
    (memory.QueryStrideBlind, MHA.edit(layout="BMHK"), "out", "q is read as if it were cont"),
    (memory.LastDimStrideBlind, MHA.edit(layout="strided"), "out", "last stride were 1"),
    (memory.OffsetBlind, MHA.edit(layout="unaligned"), "out", "rounded down to 16 bytes"),
]


@pytest.mark.parametrize(
    ("bug", "case", "of", "says"),
    PLANTED,
    ids=[f"{bug.__name__}-{of}-{n}" for n, (bug, _, of, _) in enumerate(PLANTED)],
)
def test_the_right_cause_is_named(
    explained: Explained, bug: type[Attention], case: Case, of: str, says: str
) -> None:
    """With the error before, too large where it is a matter of size, and after, which is not."""
    failures = [f for f in explained(bug(), case).failures if f.of == of]
    assert failures
    for failure in failures:
        assert says in failure.hypothesis
        assert failure.is_explained
        assert failure.error_after is not None
        assert failure.error_after <= 1.0
        assert failure.error_before is None or failure.error_before > 1.0


@pytest.mark.parametrize("make_right", [right.Plain, right.RoundsDs, right.SplitK, right.BaseTwo])
@pytest.mark.parametrize("case", [NONE, CAUSAL.edit(dtype="bfloat16"), BOTTOM, BIAS_H])
def test_what_is_right_gets_no_explanation(
    explained: Explained, make_right: type[Attention], case: Case
) -> None:
    """Nothing failed, so nothing is said."""
    assert explained(make_right(), case).failures == ()


class Wild(Attention):
    """Probabilities with a wobble that no program has."""

    def output(self, P: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        return super().output(P * (1 + 0.3 * torch.sin(37 * P.cumsum(-1))), v)


class WildDk(Attention):
    """A dK that is something else."""

    def dk(self, dS: torch.Tensor, q: torch.Tensor, scale: float) -> torch.Tensor:
        return super().dk(dS, q.roll(7, 2), scale)


@pytest.mark.parametrize(("bug", "of"), [(Wild, "out"), (WildDk, "dk")])
@pytest.mark.parametrize("case", [NONE, CAUSAL.edit(dtype="bfloat16"), ARBITRARY, BIAS_1, ALIBI])
def test_an_unforeseen_bug_is_not_explained(
    explained: Explained, bug: type[Attention], of: str, case: Case
) -> None:
    """That is said, with the number of hypotheses that were tried."""
    failure = next(f for f in explained(bug(), case).failures if f.of == of)
    assert failure.hypothesis.startswith("no hypothesis fits (")
    assert failure.error_after is None
    assert not failure.is_explained


class DropsAlways(Attention):
    """Dropout that stays on."""

    def __call__(self, *args: Any, dropout_p: float = 0.0, **kwargs: Any) -> torch.Tensor:
        return super().__call__(*args, dropout_p=0.1, **kwargs)


def test_dropout_that_stays_on_is_recognised(explained: Explained) -> None:
    """Also in gradients, and with its rate."""
    failures = explained(DropsAlways(), CAUSAL).failures
    assert {f.of for f in failures} == {"out", "dq", "dk", "dv"}
    assert {f.hypothesis for f in failures} == {"dropout is on, with p = 0.1"}


def test_an_earlier_mask_is_recognised(explained: Explained) -> None:
    """The mask of another case of the same shape, seen before by this process."""
    stale = who.StaleMask()
    first = CAUSAL.edit(mask=masks.parse("arbitrary(seed=5, percent=60)"))
    second = CAUSAL.edit(mask=masks.parse("arbitrary(seed=6, percent=30)"))
    assert explained(stale, first).failures == ()
    failure = explained(stale, second).failures[0]
    assert "earlier call of this shape is used: arbitrary(seed=5, percent=60)" in failure.hypothesis


@pytest.mark.parametrize(
    ("factor", "shift", "says"),
    [(1.4426950408889634, 0.0, "in base 2"), (-1.0, 0.0, "wrong sign")],
)
def test_units_of_the_log_sum_exp(factor: float, shift: float, says: str) -> None:
    """A log-sum-exp in base 2 fails and is explained."""
    inputs = make(NONE.edit(passes="fwd"))
    truth = compute(inputs)
    outputs = Outputs(truth.out.float(), (truth.lse * factor + shift).float())
    parity = explain(judge(outputs, inputs, truth, "fused"), outputs, inputs, truth)
    assert [says in f.hypothesis for f in parity.failures] == [True]


def test_one_gradient_alone_is_explained(explained: Explained) -> None:
    """Tensors are exchanged in thought only where the gradients of both are there, or neither's."""
    (failure,) = explained(gradients.DqTailIsZero(), CAUSAL.edit(Hkv=4, grads=("q",))).failures
    assert failure.hypothesis


def test_a_large_case_says_that_it_is_too_large(
    explained: Explained, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And still tells where the error sits."""
    module = importlib.import_module("attnprobe.device.explainer.explain")
    monkeypatch.setitem(module.PAIRS, "cpu", 1000)
    failure = explained(gradients.DqTailIsZero(), NONE).failures[0]
    assert failure.hypothesis == "no hypothesis tried: 39,200 scores; up to 1,000 are explained"
    assert failure.where.startswith("query rows 64 to 69 of 70")


def test_a_late_answer_says_what_was_left(
    explained: Explained, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time limit is looked at between hypotheses."""
    module = importlib.import_module("attnprobe.device.explainer.explain")
    monkeypatch.setattr(module, "LIMIT_S", 0.0)
    failure = explained(scores.ScaleMissing(), NONE).failures[0]
    assert "not within 0 s" in failure.hypothesis
    assert not failure.is_explained


@pytest.mark.parametrize("name", [m.name for m in pkgutil.iter_modules(hypotheses.__path__)])
def test_every_file_is_a_hypothesis(name: str) -> None:
    """It says what would be seen and why, is of a known kind, and yields variants."""
    module = importlib.import_module(f"{hypotheses.__name__}.{name}")
    assert len(module.__doc__ or "") > 60
    assert module.KIND in hypotheses.KINDS
    assert module.variants in hypotheses.of_kind(module.KIND)
