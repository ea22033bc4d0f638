"""The judge blames no right implementation, finds planted bugs, and names what it sees."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from attnprobe.core.case import Case
from attnprobe.core.mask import Mask
from attnprobe.core.parity import Parity
from attnprobe.core.score import Bias, Score
from attnprobe.device.inputs import Inputs, Outputs, make
from attnprobe.device.numerics.judge import judge
from attnprobe.device.reference import compute
from attnprobe.errors import UsageError
from tests.numerics.planted import changes, subject
from tests.numerics.random_cases import draw
from tests.numerics.right_backends import finish, leaves, of
from tests.numerics.simulator import BUGS, Simulator

DTYPES = ("float32", "bfloat16", "float16")


def right(inputs: Inputs) -> Outputs:
    """What the simulator without a bug returns."""
    return Simulator()(inputs)


def verdict(outputs: Outputs, inputs: Inputs, contract: str = "fused") -> Parity:
    """Judged against a fresh reference."""
    return judge(outputs, inputs, compute(inputs), contract)


def plain(dtype: str = "bfloat16", **changes: object) -> Inputs:
    """A small case."""
    return make(Case(1, 2, 2, 24, 40, 16, 16, dtype=dtype).edit(**changes))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("block", range(3))
def test_right_implementations_are_not_blamed(block: int, dtype: str) -> None:
    """Random cases over every CPU implementation of torch, each under its own contract."""
    blamed, judged = [], 0
    for seed in range(10_000 + 5 * block, 10_005 + 5 * block):
        score = (None, None, Score(softcap=5.0), Score(alibi=True))[seed % 4]
        inputs = draw(seed, dtype, top=100, score=score)
        reference = compute(inputs)
        empty = bool((reference.compared & ~reference.has_keys).any())
        for name, backend in of("cpu").items():
            if empty and not backend.empty_rows:
                continue
            try:
                outputs = backend.run(inputs)
            except (NotImplementedError, RuntimeError):
                continue
            asked = inputs if outputs.dq is not None else forward_only(inputs)
            parity = judge(outputs, asked, reference, backend.contract)
            judged += 1
            if parity.verdict == "fail":
                blamed.append((name, inputs.case.name, seed, parity.failures))
    assert judged >= 12
    assert not blamed


def test_logits_that_storage_moves_by_whole_units_are_not_blamed() -> None:
    """Plain bfloat16 attention with logits of 150: off by 0.5 each."""
    inputs = draw(1299, "bfloat16", top=200)
    parity = verdict(of("cpu")["eager"].run(inputs), inputs, "unfused")
    assert parity.verdict == "no_power"


def forward_only(inputs: Inputs) -> Inputs:
    """The same inputs, no gradient asked for."""
    return replace(inputs, case=inputs.case.edit(passes="fwd"))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bug", BUGS)
def test_planted_bugs_are_found(bug: str, dtype: str) -> None:
    """Every bug is found on each of two cases that it changes; without it they pass."""
    found = 0
    for seed in range(20_000, 20_012):
        inputs = subject(bug, seed, dtype)
        wrong, good = Simulator(bug)(inputs), right(inputs)
        if not changes(wrong, good):
            continue
        reference = compute(inputs)
        assert judge(good, inputs, reference, "fused").verdict != "fail"
        assert judge(wrong, inputs, reference, "fused").verdict == "fail"
        found += 1
        if found == 2:
            return
    pytest.fail(f"{bug} changed only {found} cases")


@pytest.mark.parametrize(
    ("backend", "dtype", "expected"),
    [
        ("sdpa-math", "bfloat16", "fp32-internal"),
        ("flex-eager", "bfloat16", "fused"),
        ("aten-flash-lse", "bfloat16", "fused_tc"),
        ("mha", "bfloat16", "unfused"),
        ("sdpa-math", "float32", "fp32-internal"),
    ],
)
def test_the_ladder_names_the_tightest_class(backend: str, dtype: str, expected: str) -> None:
    """Each implementation lands on its own rung, whatever it is held to."""
    inputs = make(Case(2, 4, 4, 100, 130, 32, 32, dtype=dtype))
    outputs = of("cpu")[backend].run(inputs)
    inputs = inputs if outputs.dq is not None else forward_only(inputs)
    assert verdict(outputs, inputs, "unfused").numerics_class == expected


def test_tf32_is_recognised() -> None:
    """float32 products of operands cut to ten bits fail float32's contracts and meet tf32."""

    def cut(x: Tensor) -> Tensor:
        return (x.view(torch.int32) & ~0x1FFF).view(torch.float32)

    inputs = plain("float32", Mq=64, Mkv=64)
    low = replace(inputs, q=cut(inputs.q), k=cut(inputs.k), v=cut(inputs.v), dout=cut(inputs.dout))
    parity = verdict(right(low), inputs, "fused_tc")
    assert (parity.verdict, parity.numerics_class) == ("fail", "tf32")


def test_no_power_where_the_truth_drowns() -> None:
    """Equal keys make dq zero in truth: rounding noise is neither right nor wrong."""
    inputs = draw(3, "bfloat16", family="constant-key", kind="none")
    parity = verdict(right(inputs), inputs)
    assert parity.quantities["dq"].verdict == "no_power"
    assert parity.quantities["dq"].resolution > 0.1
    assert parity.verdict == "pass"


def test_nothing_compared_is_no_verdict() -> None:
    """Without queries there is nothing to say."""
    inputs = plain(Mq=0, passes="fwd")
    out = torch.zeros(inputs.case.out_shape, dtype=inputs.q.dtype)
    assert verdict(Outputs(out), inputs).verdict == "none"


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("name", ["out", "lse", "dq", "dk", "dv"])
def test_nonfinite_is_named(name: str, value: float) -> None:
    """One NaN or inf is a failure of its own, with count and place."""
    inputs = plain()
    outputs = right(inputs)
    x = getattr(outputs, name).clone()
    x[0, 1, 3] = value
    parity = verdict(replace(outputs, **{name: x}), inputs)
    assert [f.kind for f in parity.failures] == ["nonfinite"]
    assert parity.quantities[name].nonfinite == x[0, 1, 3].numel()
    assert parity.numerics_class == ""


def test_overflow_of_the_truth_is_right() -> None:
    """Where the truth exceeds float16, inf with its sign is expected."""
    inputs = plain("float16", passes="fwd", family="normal")
    inputs = replace(inputs, v=torch.full_like(inputs.v, 65504.0))
    out = torch.full(inputs.case.out_shape, 65504.0, dtype=torch.float16)
    assert verdict(Outputs(out), inputs).verdict == "pass"
    big = replace(inputs, dout=torch.full_like(inputs.dout, 60000.0))
    big = replace(big, case=big.case.edit(passes="fwd+bwd", grads=("v",)))
    truth = compute(big)
    assert truth.dv is not None
    dv = truth.dv.to(torch.float16)
    assert bool(dv.isinf().any())
    found = judge(Outputs(out, dv=dv), big, truth, "fused")
    assert found.quantities["dv"].verdict != "fail"
    wrong = judge(Outputs(out, dv=-dv), big, truth, "fused")
    assert wrong.quantities["dv"].nonfinite == int(dv.isinf().sum())


def test_missing_gradients_shapes_and_dtypes_are_named() -> None:
    """Each is a failure kind of its own."""
    inputs = plain(score=Score(bias=Bias(requires_grad=True)))
    outputs = right(inputs)
    missing = verdict(replace(outputs, dk=None, dbias=None), inputs)
    assert sorted(f.message[:5] for f in missing.failures) == ["dbias", "dk wa"]
    assert {f.kind for f in missing.failures} == {"gradient_missing"}
    assert verdict(replace(outputs, out=outputs.out[:, :1]), inputs).failures[0].kind == "shape"
    assert verdict(replace(outputs, dq=outputs.dq.float()), inputs).failures[0].kind == "dtype"


@pytest.mark.parametrize(
    ("value", "convention"),
    [("zero", "zero"), ("nan", "nan"), ("mean", "mean-v"), ("one", "other")],
)
def test_rows_without_keys_have_a_convention(value: str, convention: str) -> None:
    """What libraries return there is told apart; anything but zero is a failure."""
    inputs = plain(mask=Mask(None, 0, "bottom-right"), Mq=40, Mkv=24, passes="fwd")
    outputs = right(inputs)
    out = outputs.out.clone()
    mean = inputs.v.float().mean(2, keepdim=True).to(out.dtype).expand(-1, -1, 16, -1)
    out[:, :, :16] = {"zero": 0.0, "nan": math.nan, "mean": mean, "one": 1.0}[value]
    parity = verdict(replace(outputs, out=out), inputs)
    assert parity.empty_rows == convention
    assert [f.kind for f in parity.failures] == ([] if value == "zero" else ["empty_rows"])


def test_gradients_of_keys_nobody_attends_are_exactly_zero() -> None:
    """The smallest bfloat16 in a masked key's gradient is a leak."""
    inputs = plain(mask=Mask(None, 0, "top-left"))
    outputs = right(inputs)
    dk = outputs.dk.clone()
    dk[0, 0, 39, 0] = 1e-38
    assert [f.kind for f in verdict(replace(outputs, dk=dk), inputs).failures] == ["leak"]


def test_a_sparse_cotangent_is_judged() -> None:
    """Right outputs pass with a few rows; a dq outside them is a leak; a wrong dk is found."""
    from attnprobe.device.reference import sparse

    rows = torch.tensor([0, 7, 23])
    inputs = sparse(plain(), rows)
    reference = compute(inputs, rows)
    outputs = right(inputs)
    assert judge(outputs, inputs, reference, "fused").verdict == "pass"
    dq = outputs.dq.clone()
    dq[0, 0, 5, 0] = 1e-3
    assert judge(replace(outputs, dq=dq), inputs, reference, "fused").failures[0].kind == "leak"
    wrong = replace(outputs, dk=outputs.dk.roll(1, 2))
    assert judge(wrong, inputs, reference, "fused").verdict == "fail"


def test_an_unknown_contract_is_refused() -> None:
    """A typo is a usage error, not a verdict."""
    inputs = plain()
    with pytest.raises(UsageError, match="fusd"):
        verdict(right(inputs), inputs, "fusd")


def test_head_room_of_the_output_rounding() -> None:
    """float32 arithmetic rounded once to bfloat16 or float16 never exceeds fp32-internal.

    The element ratio comes close to 1 by construction: half an ulp is the bound.
    """
    worst = 0.0
    for seed in range(6):
        for dtype in DTYPES[1:]:
            inputs = draw(400 + seed, dtype, kind="none", family="normal")
            x = leaves(inputs)
            k, v = (x[n].float().repeat_interleave(inputs.case.groups, 1) for n in "kv")
            P = torch.softmax(x["q"].float() @ k.mT * inputs.case.scale, -1)
            outputs = finish(inputs, x, (P @ v).to(inputs.q.dtype))
            parity = verdict(outputs, inputs, "fp32-internal")
            assert parity.verdict != "fail"
            worst = max(worst, *(q.ratio for q in parity.quantities.values()))
    assert 0.9 < worst <= 1.0
