"""Each kind of bug is caught by some case, and no right implementation is blamed by any.

A sample of `tests/bench/mutation.py`, which runs every planted bug at the levels that ship.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from attnprobe.workload import Workload, parse
from tests.bench.mutation import Row, bench
from tests.mutation import catalogue

CASES = """
name: sample
source: a test
defaults: {B: 2, Hq: 4, Hkv: 2, Mq: 33, Mkv: 40, K: 16, dtype: float32}
cases:
  - {name: causal, mask: causal(align=top-left), dtype: [float32, bfloat16]}
  - {name: bottom-right, mask: causal(align=bottom-right), Mq: 40, Mkv: 33}
  - {name: arbitrary, mask: "arbitrary(seed=1, percent=50)", Mq: 40, dtype: bfloat16}
  - {name: bias, Hkv: 4, Mq: 40, bias: [{shape: "1,H,M,N", requires_grad: true},
     {shape: "B,1,M,N", requires_grad: true}]}
  - {name: long, B: 1, Mq: 1, Mkv: 1040, pass: fwd}
  - {name: odd, Mq: 17, Mkv: 17, K: 33}
  - {name: numbers, family: [large-logits, very-negative-lse], Mkv: 33, K: 64}
  - {name: layout, layout: [strided, unaligned, BMHK], Mkv: 33}
  - {name: dropout, Mq: 64, Mkv: 64, K: 64, dropout_p: 0.3, mask: causal, ask: dropout}
  - {name: experiments, Mq: 24, Mkv: 24, mask: causal(align=top-left), dtype: bfloat16,
     ask: [mask-decode, leak, determinism, unwritten, stale, inplace, interleaved, gradient-subsets]}
"""

BUGS = (
    "masks:CausalStrict",
    "masks:CausalBottomRight",
    "masks:OneLeakAtTileEdge",
    "masks:MaskInverted",
    "masks:StaleMask",
    "masks:EmptyRowsAreNaN",
    "masks:SmallFiniteMask",
    "scores:ScaleOfPaddedHeadDim",
    "scores:HeadsRepeated",
    "scores:BiasOfFirstBatch",
    "scores:GradientOfFirstHeadOnly",
    "precision:AccumulatesInBfloat16",
    "precision:NoMaximum",
    "precision:OutputGain",
    "precision:ProbabilitiesInBfloat16",
    "gradients:NoDelta",
    "gradients:DbiasNotSummed",
    "gradients:DbiasMissing",
    "gradients:DvUnmasked",
    "gradients:DoutStrideBlind",
    "memory:KeysBeyond1000Ignored",
    "memory:OddHeadDimTruncated",
    "memory:LastDimStrideBlind",
    "memory:OffsetBlind",
    "memory:RaceInDk",
    "memory:ScalesQueryInPlace",
    "memory:DropoutNotRescaled",
    "memory:DropoutOtherInBackward",
    "habits:SavedOnTheModule",
    "habits:OneWorkspace",
    "habits:KeysCachedByAddress",
    "habits:MaximumStartsAtZero",
    "habits:FrozenKeysFreezeValues",
    "habits:DropoutForgetsCausal",
    "habits:ReturnsFloat32",
)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Tensors this small are slower in several."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def workload() -> Workload:
    """Ten kinds of case, small."""
    return parse(CASES, "sample.yaml")


def test_every_kind_of_bug_is_caught(workload: Workload) -> None:
    """Masks, scores, precision, single gradients, lengths, strides, races, state and dropout."""
    assert {f"tests.mutation.{name}" for name in BUGS} <= set(catalogue.wrong())
    rows = [Row(f"tests.mutation.{name}", wrong=True) for name in BUGS]
    bench(rows, workload)
    assert [row.name for row in rows if not row.first] == []


def test_no_right_implementation_is_blamed(workload: Workload) -> None:
    """Whatever its order of summation, its tiles and the places where it rounds."""
    rows = [Row(name, wrong=False) for name in catalogue.sound()]
    bench(rows, workload)
    assert [(row.name, row.first, row.message) for row in rows if row.first] == []
    assert not any(kind != "refused" for row in rows for kind in row.others)
    assert torch.get_default_dtype() == torch.float32
