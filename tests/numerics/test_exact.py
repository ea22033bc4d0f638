"""Exact tests pass on right kernels and name what planted faults do."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from attnprobe.core.case import Case, Lengths
from attnprobe.core.mask import NONE, Mask
from attnprobe.core.score import Bias, Score
from attnprobe.device.inputs import Inputs, Outputs, make
from attnprobe.device.numerics import exact
from attnprobe.device.reference import compute
from tests.numerics.right_backends import of
from tests.numerics.simulator import Simulator

MASKS = {
    "none": NONE,
    "causal": Mask(None, 0, "top-left"),
    "bottom-right": Mask(None, 0, "bottom-right"),
    "window": Mask(3, 5, "bottom-right"),
}
CASE = Case(2, 4, 2, 40, 70, 16, 16, dtype="bfloat16", mask=MASKS["bottom-right"])


def everything(run: exact.Run, inputs: Inputs) -> list[str]:
    """Kinds of all failures."""
    found = (
        *exact.decode(run, inputs),
        *exact.leak(run, inputs),
        *exact.power_of_two(run, inputs),
        *exact.in_place(run, inputs),
    )
    return [f.kind for f in found]


def packed(inputs: Inputs) -> Outputs:
    """A right kernel for packed rows: the reference, rounded, blind to slots of no sequence."""
    r = compute(replace(inputs, k=inputs.k.nan_to_num(), v=inputs.v.nan_to_num()))
    dtype = inputs.q.dtype
    assert r.dq is not None
    assert r.dk is not None
    assert r.dv is not None
    return Outputs(r.out.to(dtype), r.lse.float(), r.dq.to(dtype), r.dk.to(dtype), r.dv.to(dtype))


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("backend", ["sdpa-math", "sdpa-flash-cpu", "mha"])
def test_right_kernels_pass(backend: str, mask: str) -> None:
    """Decode both ways, leak, power of two and inputs untouched, in every dtype."""
    for dtype in ("float32", "bfloat16", "float16"):
        inputs = make(CASE.edit(mask=MASKS[mask], dtype=dtype))
        try:
            of("cpu")[backend].run(inputs)
        except RuntimeError:
            pytest.skip("this kernel does not take the case")
        assert everything(of("cpu")[backend].run, inputs) == []


@pytest.mark.parametrize("storage", ["packed", "packed-padded-keys"])
def test_packed_rows_are_decoded_across_sequences(storage: str) -> None:
    """A right packed kernel passes; one that lets sequences see each other does not."""
    lengths = Lengths((9, 20), (30, 12), storage=storage, tail=0)  # type: ignore[arg-type]
    inputs = make(CASE.edit(Mq=20, Mkv=30, lengths=lengths))
    assert everything(packed, inputs) == []

    def crossing(x: Inputs) -> Outputs:
        wrong = replace(lengths, kv=(min(31, x.case.Mkv), 12), q=(9, 20))
        first = packed(x)
        case = x.case.edit(lengths=replace(wrong, kv=(29, 12)))
        if case.k_shape != x.case.k_shape:
            return Outputs(first.out.roll(1, 2), first.lse, first.dq, first.dk, first.dv)
        return packed(replace(x, case=case))

    assert "mask" in everything(crossing, inputs)


@pytest.mark.parametrize(
    "bug",
    [
        "causal-off-by-one",
        "other-alignment",
        "leak-at-tile-edge",
        "leak-of-one-pair",
        "last-tile-dropped",
    ],
)
def test_wrong_masks_are_read_off(bug: str) -> None:
    """The first wrong pair is named, forward and backward."""
    found = exact.decode(Simulator(bug), make(CASE))
    assert {f.kind for f in found} == {"mask"}
    assert [f.message.partition(":")[0] for f in found] == ["forward", "backward"]


def test_a_mask_that_is_wrong_only_in_the_backward() -> None:
    """Outputs are right, gradients come from another mask: only the backward decode sees it."""

    def run(inputs: Inputs) -> Outputs:
        right, wrong = Simulator()(inputs), Simulator("causal-off-by-one")(inputs)
        return replace(wrong, out=right.out, lse=right.lse)

    found = exact.decode(run, make(CASE))
    assert "backward: key " in found[0].message


def test_an_infinite_bias_counts_as_a_mask() -> None:
    """Decode expects what -inf takes out to be gone."""
    inputs = make(CASE.edit(mask=NONE, score=Score(bias=Bias(H=False))))
    assert inputs.bias is not None
    bias = inputs.bias.clone()
    bias[..., 5] = -torch.inf
    masked = replace(inputs, bias=bias)
    assert exact.decode(of("cpu")["sdpa-math"].run, masked) == ()
    ignoring = exact.decode(lambda x: Simulator()(replace(x, bias=torch.zeros_like(bias))), masked)
    assert "key 5 is attended and should not be" in ignoring[0].message


def test_a_finite_mask_value_leaks() -> None:
    """-30 in place of -inf lets masked keys through: garbage in them changes other rows' bits."""

    def run(inputs: Inputs) -> Outputs:
        i = torch.arange(inputs.case.Mq)[:, None] + inputs.case.Mkv - inputs.case.Mq
        k, v = (t.repeat_interleave(2, 1).float() for t in (inputs.k, inputs.v))
        S = inputs.q.float() @ k.mT * inputs.case.scale
        S = S - 30.0 * (torch.arange(inputs.case.Mkv) > i)
        return Outputs((torch.softmax(S, -1) @ v).to(inputs.q.dtype))

    found = exact.leak(run, make(CASE.edit(passes="fwd", dtype="float32")))
    assert {f.kind for f in found} == {"leak"}


@pytest.mark.parametrize("often", [1.0, 0.5, 0.01])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_what_moves_from_launch_to_launch_is_neither_leak_nor_scaling(
    dtype: str, often: float
) -> None:
    """Atomic additions move the last bits of dq, always or rarely; no input is to blame for it."""
    generator, right = torch.Generator().manual_seed(0), Simulator()

    def run(inputs: Inputs) -> Outputs:
        found = right(inputs)
        assert found.dq is not None
        up = torch.nextafter(found.dq, torch.full_like(found.dq, torch.inf))
        moved = torch.rand(found.dq.shape, generator=generator) < often * 0.5
        return replace(found, dq=torch.where(moved, up, found.dq))

    inputs = make(CASE.edit(dtype=dtype))
    assert exact.leak(run, inputs) == ()
    assert exact.power_of_two(run, inputs) == ()


def test_a_leak_is_found_under_what_moves() -> None:
    """A backward that lets masked keys through leaks, however its last bits move."""
    generator, right = torch.Generator().manual_seed(0), Simulator()

    def run(inputs: Inputs) -> Outputs:
        found = right(inputs)
        assert found.dq is not None
        dq = found.dq + 1e-6 * inputs.k.float().mean()
        noise = 1 + 1e-6 * (torch.rand(dq.shape, generator=generator) - 0.5)
        return replace(found, dq=dq * noise)

    found = exact.leak(run, make(CASE.edit(dtype="float32")))
    assert {f.message.partition(" ")[0] for f in found} == {"dq"}


def test_what_is_not_linear_in_v_fails_powers_of_two() -> None:
    """A constant added to the output is not multiplied with v."""

    def run(inputs: Inputs) -> Outputs:
        right = Simulator()(inputs)
        return replace(right, out=right.out + 1e-2)

    assert [f.kind for f in exact.power_of_two(run, make(CASE))] == ["scaling"]


def test_writing_into_inputs_is_named() -> None:
    """The changed tensors are listed."""

    def run(inputs: Inputs) -> Outputs:
        found = Simulator()(inputs)
        inputs.k.mul_(2)
        return found

    assert exact.in_place(run, make(CASE))[0].message.endswith(": k")


def test_repeats_show_what_moves() -> None:
    """Deterministic quantities read 0, a moving one its largest step, a moving NaN inf."""
    noise = torch.Generator().manual_seed(0)

    def run(inputs: Inputs) -> Outputs:
        right = Simulator()(inputs)
        assert right.dq is not None
        step: Tensor = torch.rand(right.dq.shape, generator=noise)
        dk = right.dk if float(step[0, 0, 0, 0]) < 0.5 else None
        dk = torch.full_like(inputs.k, torch.nan) if dk is None else dk
        return replace(right, dq=right.dq + step.to(right.dq.dtype), dk=dk)

    found = exact.repeat(run, make(CASE), times=6)
    assert found["out"] == found["dv"] == 0.0
    assert 0.1 < found["dq"] <= 1.1
    assert found["dk"] == torch.inf


def test_what_cannot_be_decoded_says_why() -> None:
    """Dropout and steep ALiBi make the reading meaningless."""
    assert "dropout" in exact.decodable(CASE.edit(dropout_p=0.1))
    assert "ALiBi" in exact.decodable(CASE.edit(score=Score(alibi=True), Mkv=4096))
    assert exact.decodable(CASE) == ""
