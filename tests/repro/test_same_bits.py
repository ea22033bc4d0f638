"""A script draws the tensors and makes the call that attnprobe drew and made: the same bits."""

from __future__ import annotations

import math

import pytest
import torch

from attnprobe import masks, profiles
from attnprobe.core.case import FAMILIES, LAYOUTS, Case, Lengths
from attnprobe.core.outcome import Measured
from attnprobe.core.score import Bias, Score
from attnprobe.device import alibi, inputs, remembered
from attnprobe.device import backends as known
from attnprobe.device.numerics import exact
from attnprobe.device.subject import Subject
from attnprobe.repro import pairs, tensors
from tests.repro.scripts import executed, record, write

SMALL = Case(2, 4, 2, 9, 13, 8, 8, dtype="float32", mask=masks.parse("causal(align=top-left)"))


def drawn(case: Case) -> dict[str, torch.Tensor]:
    sizes = ["B", "Hq", "Hkv", "Mq", "Mkv", "K", "Kv"]
    head = "\n".join(f"{name} = {getattr(case, name)}" for name in sizes)
    head += f"\nimport torch\ndtype, device = torch.{case.dtype}, 'cpu'\n{pairs.sequences(case)}"
    return executed(f"{head}\n{tensors.lines(case)}")


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_families_have_the_same_bits(family: str, dtype: str):
    """Every input family, drawn by the script's lines, equals what attnprobe draws."""
    case = SMALL.edit(family=family, dtype=dtype, seed=7, score=Score(bias=Bias(H=False)))
    ours, theirs = inputs.make(case), drawn(case)
    for name in ("q", "k", "v", "dout", "bias"):
        assert torch.equal(getattr(ours, name), theirs[name]), name


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_have_the_same_memory(layout: str):
    """Strides, offsets and sharing of storage are those of the case's layout."""
    case = SMALL.edit(layout=layout, Hkv=4, Mkv=9)
    ours, theirs = inputs.make(case), drawn(case)
    for name in ("q", "k", "v", "dout"):
        one, other = getattr(ours, name), theirs[name]
        assert torch.equal(one, other), name
        assert (one.stride(), one.storage_offset()) == (other.stride(), other.storage_offset())
    assert (ours.q.untyped_storage().data_ptr() == ours.k.untyped_storage().data_ptr()) == (
        theirs["q"].untyped_storage().data_ptr() == theirs["k"].untyped_storage().data_ptr()
    )


@pytest.mark.parametrize("storage", ["padded", "packed", "packed-padded-keys"])
def test_lengths_have_the_same_bits(storage: str):
    """Packed rows, slots and tails too, and no gradient flows into rows of no sequence."""
    tail = 0 if storage == "padded" else 3
    case = SMALL.edit(lengths=Lengths((4, 9), (13, 5), storage, tail))
    ours, theirs = inputs.make(case), drawn(case)
    for name in ("q", "k", "v", "dout"):
        assert torch.equal(getattr(ours, name), theirs[name]), name


def test_constants_agree():
    """What the host cannot import from the device half is the same there."""
    assert tensors.ON_DEVICE_ABOVE == inputs.ON_DEVICE_ABOVE
    for Hq in (1, 2, 3, 8, 12):
        assert pairs._slopes(Hq) == alibi.slopes(Hq).tolist()


CPU = (
    "eager",
    "flex-eager",
    "lucidrains",
    "mha",
    "mha-fast-path",
    "mha-need-weights",
    "njt",
    "sdpa-default",
    "sdpa-flash",
    "sdpa-math",
    "tests/mutation/right.py:torch_default",
)


def cases() -> list[Case]:
    """Each kind of mask and score once, small."""
    seen: dict[str, Case] = {}
    for case in profiles.load("check-quick").on("cpu").cases:
        if case.dropout_p:
            continue
        smaller = case.edit(K=8, Kv=8, Hq=2, Hkv=math.gcd(case.Hkv, 2), dtype="float32")
        tall = (case.Mq > case.Mkv) - (case.Mq < case.Mkv)
        seen.setdefault(f"{case.mask.text} {case.score} {case.storage} {tall}", smaller)
    extra = Case(2, 2, 2, 6, 9, 8, 8, dtype="float32", passes="fwd")
    forms = [
        extra.edit(mask_form=form, mask=masks.parse(mask))
        for form in ("dense-bool", "dense-float")
        for mask in ("none", "sliding-window(left=2, right=1, align=bottom-right)")
    ]
    scores = [
        extra.edit(score=Score(scale=0.3, softcap=2.0, alibi=True, bias=Bias(B=True, M=False))),
        extra.edit(score=Score(alibi=True), lengths=Lengths((6, 3), (9, 4)), dtype="bfloat16"),
        extra.edit(lengths=Lengths((6, 6), (9, 4)), mask=masks.parse("causal(align=top-left)")),
        extra.edit(lengths=Lengths((6, 6), (9, 4)), mask=masks.parse("causal(align=bottom-right)")),
    ]
    return [*seen.values(), *forms, *scores]


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.label)
def test_calls_have_the_same_bits(case: Case):
    """Output and gradients of the script's call equal those of the backend's, for every CPU backend."""
    compared = 0
    for name in CPU:
        found = record(case, name)
        if not isinstance(found.outcome, Measured) or found.outcome.parity is None:
            continue
        compared += 1
        script = executed(write(found))
        subject = Subject(known.load(name), remembered.inputs(case))
        outputs = subject.run()
        for of, tensor in script["got"].items():
            ours = getattr(outputs, of)
            if (
                of == "dbias"
            ):  # where a row has no key, a library is handed a bias that is -inf there
                keyed = exact.allowed(case, tensor.device, slice(0, case.Mkv)).any(-1, keepdim=True)
                tensor, ours = (t.masked_fill(~keyed, 0.0) for t in (tensor, ours))
            same = torch.equal(tensor.nan_to_num(7.0), ours.nan_to_num(7.0))
            assert same, f"{name}: {of} differs by {(tensor - ours).abs().max()}"
        assert script["status"] == (found.outcome.parity.verdict == "fail"), (
            f"{name}\n" + script["printed"]
        )
    assert compared
