"""Every variant that this machine can run is right, and what it cannot run is refused with reasons."""

from __future__ import annotations

import pytest
import torch

from attnprobe.core.outcome import Measured, Refused
from attnprobe.core.trial import Trial
from attnprobe.device import modules
from attnprobe.device.answer import answer
from attnprobe.device.backends.base import Prepared
from attnprobe.device.modules import truth
from attnprobe.device.modules.base import COMPILED
from tests.modules.cases import CASES, CAUSAL, case

EAGER = [
    (name, variant)
    for name in CASES
    for variant in modules.variants(name)
    if not variant.endswith(COMPILED)
]
RUNS_HERE = {
    "mha-layer": {"padded-mha", "padded-sdpa", "jagged"},
    "mha-cross": {"padded-mha", "padded-sdpa", "jagged"},
    "input-projection": {"separate", "packed"},
    "swiglu": {"separate", "packed"},
    "gpt-block": {
        f"{attention}+{swiglu}"
        for attention in ("eager", "sdpa-math", "sdpa-flash", "sdpa-default")
        for swiglu in ("separate", "packed")
    },
    "varlen-documents": {"padded-sdpa"},
}
"""What runs on any CPU."""


def heard(phase: str) -> None:
    """Nobody listens."""


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize(("name", "variant"), EAGER)
def test_a_variant_is_right_or_refused(name: str, variant: str, dtype: str) -> None:
    """Output and all gradients, beside the layer in float64."""
    outcome = answer(Trial(case(name, dtype), variant), heard)
    if isinstance(outcome, Refused):
        assert variant not in RUNS_HERE[name]
        assert all(outcome.reasons)
        return
    assert isinstance(outcome, Measured)
    assert outcome.parity is not None
    assert outcome.parity.failures == ()
    assert outcome.parity.verdict == "pass"


@pytest.mark.parametrize("name", CASES)
def test_every_input_and_weight_has_its_gradient_compared(name: str) -> None:
    """A quantity for the output and one for each tensor that is differentiated."""
    given = modules.load(name).make(case(name))
    floating = {n for n, tensor in given.tensors.items() if tensor.is_floating_point()}
    variant = next(v for v in modules.variants(name) if v in RUNS_HERE[name])
    outcome = answer(Trial(case(name), variant), heard)
    assert isinstance(outcome, Measured)
    assert outcome.parity is not None
    assert set(outcome.parity.quantities) == {"out", *(f"d{n}" for n in floating)}


@pytest.mark.parametrize("variant", ["padded-mha", "padded-sdpa"])
@pytest.mark.parametrize("lengths", [None, CASES["mha-layer"].lengths])
def test_padded_layers_can_be_causal(variant: str, lengths: object) -> None:
    """With padding a mask says both; without it there is less to say."""
    outcome = answer(Trial(case("mha-layer", mask=CAUSAL, lengths=lengths), variant), heard)
    assert isinstance(outcome, Measured)
    assert outcome.parity is not None
    assert outcome.parity.verdict == "pass"


@pytest.mark.parametrize("variant", ["padded-mha", "padded-sdpa", "jagged"])
def test_inference_is_compared_too(variant: str) -> None:
    """Without gradients nn.MultiheadAttention may take its fast path: the output is what counts."""
    outcome = answer(Trial(case("mha-layer", passes="fwd"), variant), heard)
    assert isinstance(outcome, Measured)
    assert outcome.parity is not None
    assert outcome.parity.verdict == "pass"
    assert set(outcome.parity.quantities) == {"out"}


@pytest.mark.parametrize(
    ("name", "variant"), [("swiglu", "packed-compiled"), ("mha-layer", "jagged-compiled")]
)
def test_a_compiled_variant_is_the_same_layer(name: str, variant: str) -> None:
    """Compiled by inductor, held to the same limit."""
    outcome = answer(Trial(case(name), variant), heard)
    assert isinstance(outcome, Measured)
    assert outcome.form.endswith("torch.compile")
    assert outcome.parity is not None
    assert outcome.parity.verdict == "pass"


def test_forwards_may_wait_for_their_backwards() -> None:
    """A GPU is timed with many forwards ahead; an update must not spoil those that wait."""
    layer = modules.load("gpt-block")
    given = layer.make(case("gpt-block"))
    prepared = layer.prepare("eager+packed", given)
    assert isinstance(prepared, Prepared)
    leaves = tuple(prepared.leaves.values())
    before = [leaf.detach().clone() for leaf in leaves]
    for losses in [prepared.launch() for _ in range(3)]:
        prepared.differentiate(losses, leaves, given.dout)
    changed = [not torch.equal(leaf, old) for leaf, old in zip(leaves, before, strict=True)]
    assert all(changed), "every weight is trained"


def test_a_trained_model_leaves_the_inputs_alone() -> None:
    """The update of one variant must not be the next one's starting point."""
    before = {n: t.clone() for n, t in truth.inputs(case("gpt-block")).tensors.items()}
    answer(Trial(case("gpt-block"), "eager+packed"), heard)
    after = truth.inputs(case("gpt-block")).tensors
    assert all(bool((after[name] == tensor).all()) for name, tensor in before.items())


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("variant", ["separate", "packed"])
def test_one_long_matmul_is_not_wrong_for_its_length(variant: str, seed: int) -> None:
    """In float32 a sum over 3D rounds more than three sums over D: that is no error of the layer."""
    outcome = answer(Trial(case("input-projection", seed=seed, Mq=1, Mkv=1), variant), heard)
    assert isinstance(outcome, Measured)
    assert outcome.parity is not None
    assert outcome.parity.verdict == "pass"
