"""Each experiment finds what it is for, and blames no right implementation."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from attnprobe import masks
from attnprobe.core.case import Case
from attnprobe.core.score import Bias, Score
from attnprobe.device import laboratory
from attnprobe.device.laboratory import stale
from tests.mutation import drawing, gradients, memory, recompute, states, strides
from tests.mutation import masks as masked
from tests.mutation.base import Attention
from tests.mutation.right import Plain, RoundsDs, SplitK, torch_default

CAUSAL = masks.parse("causal", square=True)
CASE = Case(2, 4, 2, 40, 40, 48, 48, dtype="bfloat16", mask=CAUSAL)
DENSE = CASE.edit(mask=masks.parse("arbitrary(seed=5, percent=40)"))
BIASED = CASE.edit(Hkv=4, score=Score(bias=Bias(requires_grad=True)))
DROPPED = CASE.edit(mask=masks.parse("none"), dropout_p=0.25)
BIASED_DROPPED = BIASED.edit(mask=masks.parse("none"), dropout_p=0.25)
DECODE = CASE.edit(Mq=1, mask=masks.parse("none"))


class NeedsAll(Attention):
    """dq is that of dk's factor when k is frozen: a backward that counts on all being wanted."""

    def __call__(self, query: Tensor, key: Tensor, value: Tensor, *args, **kwargs) -> Tensor:
        self.frozen = not key.requires_grad
        return super().__call__(query, key, value, *args, **kwargs)

    def dq(self, dS, k, scale):
        return super().dq(dS, k, scale) * (2.0 if self.frozen else 1.0)


class WritesIntoCotangent(Attention):
    """The backward uses dO as a workspace."""

    def read(self, name: str, tensor: Tensor) -> Tensor:
        if name == "dout":
            found = tensor.float()
            tensor.data.mul_(0.5)
            return found
        return super().read(name, tensor)


class SpendsWhatItSaved(Attention):
    """The backward uses the saved output as a workspace, which a second walk finds spent."""

    def delta(self, dout, out, P, dP):
        D = super().delta(dout, out, P, dP)
        out.data.zero_()
        return D


class KeptByAddress(Attention):
    """What was read from an address once is read no more."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, int], Tensor] = {}

    def read(self, name: str, tensor: Tensor) -> Tensor:
        if name == "dout":
            return tensor.float()
        return self.kept.setdefault((name, tensor.data_ptr()), tensor.float().clone())


class ClampsValues(Attention):
    """Values beyond 3 are cut."""

    def read(self, name: str, tensor: Tensor) -> Tensor:
        return tensor.float().clamp(-3, 3) if name == "v" else tensor.float()


class ReadsExpandedAsDense(Attention):
    """An expanded cotangent is read one element after the other."""

    def read(self, name: str, tensor: Tensor) -> Tensor:
        if name == "dout" and 0 in tensor.stride():
            return tensor.new_empty(tensor.shape).fill_(0.5).float()
        return tensor.float()


class ScatteredRate(Attention):
    """Half of the heads drop nothing, the others twice as much."""

    def keep_mask(self, P, p):
        Z = (torch.rand_like(P) >= 2 * p).float()
        Z[:, ::2] = 1.0
        return Z / (1.0 - p)


class SameEveryCall(Attention):
    """A seed of its own."""

    def keep_mask(self, P, p):
        own = torch.Generator().manual_seed(3)
        return (torch.rand(P.shape, generator=own) >= p).float() / (1.0 - p)


class BackwardOffset(Attention):
    """Dropout's mask is rolled by one key in the backward."""

    def backward_dropout(self, Z, p):
        return Z.roll(1, -1)


class DropsDoubleInDs(Attention):
    """The backward has the mask, but scales twice."""

    def backward_dropout(self, Z, p):
        return Z / (1.0 - p)


class LosesFactorUnderAutocast(Attention):
    """Inside autocast the scale is forgotten."""

    def scale(self, q, given):
        return 1.0 if torch.is_autocast_enabled("cpu") else super().scale(q, given)


def gives_query_back(query, key, value, **kwargs):
    """The input itself, which has the right shape."""
    return query


FINDS: list[tuple[str, Callable[..., Tensor], Case, str]] = [
    ("mask-decode", masked.MaskShifted(), DENSE, "mask"),
    ("mask-decode", masked.CausalOneAhead(), CASE, "mask"),
    ("determinism", memory.Race(), CASE.edit(dtype="float32"), "determinism"),
    ("determinism", memory.RaceInDk(), CASE, "determinism"),
    ("unwritten", memory.LastQueriesUnwritten(), CASE.edit(Mq=70, Mkv=70), "unwritten"),
    ("gradient-subsets", NeedsAll(), CASE, "gradient_subsets"),
    ("gradient-subsets", gradients.DbiasScaled(), BIASED, "accuracy"),
    ("backward-twice", SpendsWhatItSaved(), CASE, "backward_twice"),
    ("strided-gradient", gradients.DoutStrideBlind(), CASE, "strided_gradient"),
    ("strided-gradient", ReadsExpandedAsDense(), CASE, "strided_gradient"),
    ("stale", masked.StaleMask(), DENSE, "stale"),
    ("stale", KeptByAddress(), CASE, "stale"),
    ("inplace", memory.ScalesQueryInPlace(), CASE, "inplace"),
    ("inplace", WritesIntoCotangent(), CASE, "inplace"),
    ("inplace", gives_query_back, CASE.edit(passes="fwd"), "alias"),
    ("power-of-two", ClampsValues(), CASE.edit(dtype="float32"), "scaling"),
    ("power-of-two", recompute.ValuesThroughHalf(), CASE, "scaling"),
    ("power-of-two", recompute.GradientsThroughHalf(), CASE, "scaling"),
    ("autocast", LosesFactorUnderAutocast(), CASE.edit(dtype="float32"), "autocast"),
    ("autocast", states.AutocastRoundsToHalf(), CASE.edit(dtype="float32"), "autocast"),
    ("stale", states.BiasConvertedOncePerTensor(), BIASED, "stale"),
    ("threads", states.ScratchSharedByThreads(), CASE, "threads"),
    ("inference", states.KeysKeptBetweenDecodes(), DECODE, "inference"),
    ("isolation", states.MaximumOfTheTile(), CASE, "isolation"),
    *(
        ("mask-memory", bug(), case, "mask_memory")
        for bug, case in (
            (strides.MaskRowsAssumedDense, DENSE),
            (strides.MaskInnerStrideIsOne, DENSE),
            (strides.MaskOffsetIgnored, DENSE),
            (strides.ExpandedMaskTakenDense, DENSE),
            (strides.TwoDimensionalMaskIgnored, DENSE),
            (strides.MaskInnerStrideIsOne, BIASED),
            (strides.ThreeDimensionalMaskIsByBatch, BIASED),
        )
    ),
    ("dropout", drawing.DropoutIgnoresSeed(), DROPPED, "dropout"),
    ("dropout", drawing.DropoutInGradientOfValuesOnly(), BIASED_DROPPED, "dropout"),
    *(
        ("dropout", bug(), DROPPED, "dropout")
        for bug in (
            memory.DropoutNotRescaled,
            memory.DropoutRateDoubled,
            memory.DropoutIgnored,
            memory.DropoutSameForHeads,
            memory.DropoutOtherInBackward,
            memory.DropoutInColumnsOnly,
            ScatteredRate,
            SameEveryCall,
            BackwardOffset,
            DropsDoubleInDs,
        )
    ),
]


@pytest.mark.parametrize(
    ("name", "bug", "case", "kind"),
    FINDS,
    ids=lambda value: type(value).__name__ if isinstance(value, Attention) else None,
)
def test_it_finds_what_it_is_for(kinds, name, bug, case, kind) -> None:
    """Under the failure's own name."""
    assert kind in kinds(name, bug, case)


ASKED = [name for name in laboratory.names() if name not in ("compiled-caller", "ring")]


@pytest.mark.parametrize("name", ASKED)
@pytest.mark.parametrize("right", [Plain(), RoundsDs(), SplitK(), torch_default])
@pytest.mark.parametrize(
    "case", [CASE, DENSE.edit(dtype="float32"), BIASED, DROPPED], ids=lambda c: c.label[:28]
)
def test_it_blames_no_right_implementation(found, name, right, case) -> None:
    """Whatever the order of sums and wherever it rounds; a reason is given where nothing is said."""
    result = found(name, right, case)
    assert result == () or (isinstance(result, laboratory.Skipped) and result.reason)


@pytest.mark.slow
def test_a_compiled_caller_gets_the_same(found) -> None:
    """Traced by Dynamo, split by AOTAutograd."""
    assert found("compiled-caller", torch_default, CASE) == ()


@pytest.mark.parametrize("seed", range(20))
def test_dropout_raises_no_false_alarm(found, seed: int) -> None:
    """Rates from 2% to 90%, several seeds."""
    p = (0.02, 0.1, 0.5, 0.9)[seed % 4]
    assert found("dropout", Plain(), DROPPED.edit(dropout_p=p, seed=100 * seed)) == ()


def test_new_numbers_are_written_into_an_expanded_mask() -> None:
    """One row of numbers for all heads, as xFormers gets it: torch does not write into it as a whole."""
    mask, numbers = (torch.rand(2, 1, 5).expand(2, 4, 5) for _ in range(2))
    with pytest.raises(RuntimeError, match="single memory location"):
        mask.copy_(numbers)
    stale._write(mask, numbers)
    assert torch.equal(mask, numbers)
