"""A variant that computes something else is called wrong, whatever it gets wrong, and is not timed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from attnprobe.core.case import Case
from attnprobe.core.outcome import Measured
from attnprobe.core.parity import Parity
from attnprobe.core.trial import Trial
from attnprobe.device import modules
from attnprobe.device.answer import answer
from attnprobe.device.modules.base import Body, Layer, LayerInputs, Tensors
from attnprobe.device.modules.gpt_block import layer as gpt
from attnprobe.device.modules.gpt_block.attention import Exchanged
from attnprobe.device.modules.rows import Slots
from tests.modules.cases import case

Edit = Callable[[Body, LayerInputs], Body]


def heard(phase: str) -> None:
    """Nobody listens."""


def planted(
    monkeypatch: pytest.MonkeyPatch, of: Case, variant: str, edit: Edit, question: str = "check"
) -> Measured:
    """What is said of a variant whose body was edited."""
    layer = modules.load(of.module)
    bodies = layer.bodies

    def spoilt(self: Layer) -> Mapping[str, Callable[[LayerInputs], Any]]:
        def body(given: LayerInputs) -> Body:
            made = bodies[variant](given)
            assert isinstance(made, Body)
            return edit(made, given)

        return {**bodies, variant: body}

    monkeypatch.setattr(type(layer), "bodies", property(spoilt))
    outcome = answer(Trial(of, variant, question), heard)
    assert isinstance(outcome, Measured)
    return outcome


def parity(outcome: Measured) -> Parity:
    assert outcome.parity is not None
    return outcome.parity


def failing(outcome: Measured) -> set[str]:
    """Quantities that are wrong."""
    return {name for name, q in parity(outcome).quantities.items() if q.verdict == "fail"}


def with_leaves(change: Callable[[Tensors], Tensors]) -> Edit:
    """The same forward on other tensors than those it should have."""

    def edit(body: Body, given: LayerInputs) -> Body:
        def forward(*tensors: Tensor) -> Any:
            native = dict(zip(body.leaves, tensors, strict=True))
            return body.forward(*change(native).values())

        return replace(body, forward=forward)

    return edit


def with_output(change: Callable[[Any], Any]) -> Edit:
    """The right output, spoilt."""

    def edit(body: Body, given: LayerInputs) -> Body:
        return replace(body, forward=lambda *tensors: change(body.forward(*tensors)))

    return edit


def swapped(first: str, second: str) -> Callable[[Tensors], Tensors]:
    return lambda native: {**native, first: native[second], second: native[first]}


def halves_swapped(name: str) -> Callable[[Tensors], Tensors]:
    def change(native: Tensors) -> Tensors:
        upper, lower = native[name].chunk(2)
        return {**native, name: torch.cat([lower, upper])}

    return change


def _one_element(out: Tensor) -> Tensor:
    off = torch.zeros_like(out)
    off.view(-1)[7] = 0.01
    return out + off


EDITS: dict[str, tuple[Case, str, Edit]] = {
    "gate and up swapped": (case("swiglu"), "separate", with_leaves(swapped("w1", "w3"))),
    "gate and up swapped in the packed weight": (
        case("swiglu"),
        "packed",
        with_leaves(halves_swapped("w1+w3")),
    ),
    "queries and keys swapped": (
        case("input-projection"),
        "separate",
        with_leaves(swapped("w_q", "w_k")),
    ),
    "keys and values swapped": (
        case("mha-cross"),
        "padded-sdpa",
        with_leaves(halves_swapped("w_k+w_v")),
    ),
    "output bias missing": (
        case("mha-layer"),
        "jagged",
        with_leaves(lambda native: {**native, "b_o": torch.zeros_like(native["b_o"])}),
    ),
    "a hundredth in one element": (case("mha-layer"), "padded-sdpa", with_output(_one_element)),
    "two per mille too large": (case("swiglu"), "packed", with_output(lambda out: out * 1.002)),
    "an output of bfloat16": (
        case("mha-layer"),
        "padded-sdpa",
        with_output(lambda out: out.bfloat16().float()),
    ),
    "not a number": (case("swiglu"), "packed", with_output(lambda out: out / 0.0 * 0.0)),
}


@pytest.mark.parametrize("what", EDITS)
def test_a_wrong_layer_is_wrong(monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    """In float32 nothing of this is rounding."""
    of, variant, edit = EDITS[what]
    found = planted(monkeypatch, of, variant, edit)
    assert parity(found).verdict == "fail"
    assert "out" in failing(found)


@pytest.mark.parametrize("variant", ["padded-mha", "padded-sdpa"])
def test_attended_padding_is_wrong(monkeypatch: pytest.MonkeyPatch, variant: str) -> None:
    """A mask that forgets the padding, in both padded layers."""
    monkeypatch.setattr(Slots, "padding", property(lambda self: 0.0))
    outcome = answer(Trial(case("mha-layer"), variant), heard)
    assert isinstance(outcome, Measured)
    assert parity(outcome).verdict == "fail"


def test_documents_that_see_each_other_are_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """Causal over the whole row, where it should be within the document."""
    monkeypatch.setattr(Tensor, "repeat_interleave", lambda self, n: self.new_zeros(int(n.sum())))
    outcome = answer(Trial(case("varlen-documents"), "padded-sdpa"), heard)
    assert isinstance(outcome, Measured)
    assert parity(outcome).verdict == "fail"


def test_a_coarser_format_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """In bfloat16 too: weights that lost two more bits err more than twice as much as they may."""

    def coarse(native: Tensors) -> Tensors:
        return {n: (t * 9).bfloat16() - (t * 8).bfloat16() for n, t in native.items()}

    found = planted(monkeypatch, case("swiglu", "bfloat16"), "packed", with_leaves(coarse))
    assert parity(found).verdict == "fail"


def test_a_missing_gradient_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """The output is right, and one weight does not learn."""
    detach = with_leaves(lambda native: {**native, "w2": native["w2"].detach()})
    found = planted(monkeypatch, case("swiglu"), "separate", detach)
    assert [f.kind for f in parity(found).failures] == ["gradient_missing"]


def test_a_wrong_gradient_alone_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """The output is right, its backward is not."""

    def edit(body: Body, given: LayerInputs) -> Body:
        def differentiate(out: Any, leaves: Any, dout: Any) -> Any:
            return tuple(g * 1.01 for g in body.differentiate(out, leaves, dout))

        return replace(body, differentiate=differentiate)

    found = planted(monkeypatch, case("mha-layer"), "padded-sdpa", edit)
    assert parity(found).quantities["out"].verdict == "pass"
    assert {"dx", "dw_q", "dw_o"} <= failing(found)


def test_a_shape_of_its_own_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Padding that was not taken out again, say."""
    drop = with_output(lambda out: out[:-1])
    found = planted(monkeypatch, case("swiglu", passes="fwd"), "packed", drop)
    assert [f.kind for f in parity(found).failures] == ["shape"]


@pytest.mark.parametrize(
    "attention",
    [
        lambda q, k, v: torch.nn.functional.scaled_dot_product_attention(q, k, v),
        lambda q, k, v: torch.nn.functional.scaled_dot_product_attention(
            q, k, v, is_causal=True, scale=0.36
        ),
    ],
    ids=["not causal", "another scale"],
)
def test_a_model_with_other_attention_is_wrong(
    monkeypatch: pytest.MonkeyPatch, attention: Callable[..., Tensor]
) -> None:
    """One training step tells: losses and gradients differ."""
    monkeypatch.setattr(gpt, "exchanged", lambda name, of: Exchanged(attention, "planted"))
    outcome = answer(Trial(case("gpt-block"), "sdpa-default+packed"), heard)
    assert isinstance(outcome, Measured)
    assert parity(outcome).verdict == "fail"
    assert any(name.startswith("dblocks.0.qkv") for name in failing(outcome))


def test_a_wrong_layer_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its time would say how fast something else is."""
    spoil = with_output(lambda out: out * 1.1)
    found = planted(monkeypatch, case("swiglu"), "packed", spoil, "time")
    assert found.timing is not None
    assert found.timing.fwd_s is None
    assert "wrong" in found.timing.withheld[0]
