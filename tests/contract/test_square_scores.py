"""Scale, soft cap, ALiBi, bias and head grouping reach the library in the right order and place.

Each way is run (or read by its documentation) on random queries and keys with one-hot values, so that
its output is the matrix of probabilities, and is compared with a formula written in float64.
"""

import itertools
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn.attention import flex_attention as flex_module
from torch.nn.attention.flex_attention import flex_attention
from torch.nn.functional import scaled_dot_product_attention

from attnprobe.core.case import Case
from attnprobe.core.score import Bias, Score
from attnprobe.device import inputs as recipe
from attnprobe.device.alibi import slopes
from attnprobe.device.inputs import Inputs
from attnprobe.device.lowering import dense
from attnprobe.device.lowering.base import Lowered, Refusal
from tests.contract import readers, square

BIASES = [Bias(*flags) for flags in itertools.product((True, False), repeat=4)]
SCORES = {
    "scale": Score(scale=0.2),
    "softcap": Score(softcap=0.5),
    "alibi": Score(alibi=True),
    "all": Score(scale=0.3, softcap=0.7, alibi=True),
    **{f"bias {b.text}": Score(bias=b) for b in BIASES},
    "all and bias": Score(scale=0.3, softcap=0.7, alibi=True, bias=Bias(H=True, M=True)),
    "scale and bias": Score(scale=0.3, bias=Bias(B=True)),
}
MASKS = ("none", "causal(align=top-left)", "sliding-window(left=1, right=1, align=bottom-right)")
SHAPES = ("4x4", "2x5", "5x2", "key padding 4x6", "packed wider", "padded keys")


def probabilities(case: Case, tensors: Inputs) -> Tensor:
    """softmax(softcap(scale q.k) + alibi + bias) of every pair that `oracle` allows, in float64."""
    pairs = square.oracle(case)
    logits = torch.full(
        (case.q_shape[0], case.Hq, *pairs.shape[2:]), -math.inf, dtype=torch.float64
    )
    for s in case.sequences:
        for h, i, j in itertools.product(range(case.Hq), range(s.Mq), range(s.Mkv)):
            b, row, column = s.batch, s.q_start + i, s.kv_start + j
            if not pairs[b, 0, row, column]:
                continue
            kv_head = h // (case.Hq // case.Hkv)
            logit = case.scale * tensors.q[b, h, row].double().dot(
                tensors.k[b, kv_head, column].double()
            )
            if case.score.softcap:
                logit = case.score.softcap * math.tanh(logit / case.score.softcap)
            if case.score.alibi:
                logit = logit - 2.0 ** (-8 * (h + 1) / case.Hq) * abs(i + s.Mkv - s.Mq - j)
            if tensors.bias is not None:
                at = [
                    0 if n == 1 else x
                    for n, x in zip(tensors.bias.shape, (b, h, i, j), strict=True)
                ]
                logit = logit + tensors.bias[tuple(at)].item()
            logits[b, h, row, column] = logit
    return logits.softmax(-1)


def _one_hot(tensors: Inputs) -> Tensor:
    Tkv = tensors.k.shape[2]
    return torch.eye(Tkv).expand(*tensors.k.shape[:2], Tkv, Tkv)


def _sdpa(case: Case, tensors: Inputs, said: Lowered) -> Tensor:
    return scaled_dot_product_attention(tensors.q, tensors.k, _one_hot(tensors), **said.arguments)


def _flex(case: Case, tensors: Inputs, said: Lowered) -> Tensor:
    return flex_attention(tensors.q, tensors.k, _one_hot(tensors), **said.arguments)


def _lucidrains(case: Case, tensors: Inputs, said: Lowered) -> Tensor:
    from memory_efficient_attention_pytorch.memory_efficient_attention import (
        memory_efficient_attention,
    )

    buckets = {"q_bucket_size": 2, "k_bucket_size": 3}
    return memory_efficient_attention(
        tensors.q, tensors.k, _one_hot(tensors), **said.arguments, **buckets
    )


def _xformers(case: Case, tensors: Inputs, said: Lowered) -> Tensor:
    """The documented `softmax(q.k * scale + bias)` with the bias materialised by xFormers."""
    bias = said.arguments["attn_bias"]
    keys = tensors.k.repeat_interleave(case.groups, 1)
    scores = tensors.q @ keys.transpose(2, 3) * said.arguments.get("scale", case.K**-0.5)
    added = bias if isinstance(bias, Tensor) else bias.materialize(tuple(scores.shape))
    return (scores + added).softmax(-1)


def _flash(case: Case, tensors: Inputs, said: Lowered) -> Tensor:
    """flash_attn_func's docstring: softcap, then `-slope * |i + Mkv - Mq - j|`."""
    a = said.arguments
    keys = tensors.k.repeat_interleave(case.groups, 1)
    scores = tensors.q @ keys.transpose(2, 3) * a.get("softmax_scale", case.K**-0.5)
    if "softcap" in a:
        scores = a["softcap"] * torch.tanh(scores / a["softcap"])
    for s in case.sequences:
        i, j = torch.arange(s.Mq)[:, None], torch.arange(s.Mkv)
        part = scores[s.batch, :, s.q_start : s.q_start + s.Mq, s.kv_start : s.kv_start + s.Mkv]
        if "alibi_slopes" in a:
            part -= a["alibi_slopes"][:, None, None] * (i + s.Mkv - s.Mq - j).abs()
    return scores.masked_fill(~readers.flash(case, said), -math.inf).softmax(-1)


RUNS: dict[str, tuple[str, Callable[[Case, Inputs, Lowered], Tensor]]] = {
    "sdpa": ("sdpa", _sdpa),
    "flex": ("flex", _flex),
    "lucidrains": ("lucidrains", _lucidrains),
    "xformers": ("xformers-float", _xformers),
    "xformers-class": ("xformers", _xformers),
    "flash-2": ("flash-2", _flash),
}


def difference(run: str, mask: str, shape: str, score: Score) -> float | None:
    """The largest difference of a probability; None when refused or when the case is unsound."""
    name, call = RUNS[run]
    case = square.case_of(mask, shape, score=score).edit(**dict(square.ways()[name].edit))
    if case.problems:
        return None
    said = square.lowered(name, case)
    if isinstance(said, Refusal):
        return None
    if run.startswith("xformers") and "attn_bias" not in said.arguments:
        return None
    if run == "xformers-class" and said.form != "LowerTriangularMaskWithTensorBias":
        return None
    tensors = recipe.make(case)
    wanted, found = probabilities(case, tensors), call(case, tensors, said)
    alive = (
        square.oracle(case).any(-1)[:, 0, :, None].unsqueeze(1)
    )  # rows without keys: conventions differ
    return float(((wanted - found.double()) * alive).nan_to_num(0, posinf=9, neginf=9).abs().max())


@pytest.fixture(autouse=True)
def _uncompiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Flex without torch.compile: it would compile each of hundreds of small cases."""
    monkeypatch.setattr(flex_module, "_FLEX_ATTENTION_DISABLE_COMPILE_DEBUG", True)


@pytest.mark.parametrize("run", RUNS)
def test_probabilities_are_those_of_the_formula(run: str) -> None:
    """Largest difference under 1e-5: float32 rounding is 1e-7 here, any wrong term above 1e-3."""
    every = itertools.product(MASKS, SHAPES, (name for name in SCORES if "bias" not in name))
    biased = itertools.product(
        MASKS[:2], SHAPES[1:4:2], (name for name in SCORES if "bias" in name)
    )
    keys = itertools.chain(every, biased)
    found = {key: difference(run, key[0], key[1], SCORES[key[2]]) for key in keys}
    measured = {key: d for key, d in found.items() if d is not None}
    assert len(measured) >= 3, "nothing was compared"
    assert {key: d for key, d in measured.items() if not d < 1e-5} == {}


def test_slopes_of_eight_heads_are_powers_of_two() -> None:
    """Press et al., section 3: 1/2, 1/4, ..., 1/256."""
    assert slopes(8).tolist() == [2.0**-n for n in range(1, 9)]


def test_slopes_of_twelve_heads_interleave() -> None:
    """The authors' get_slopes(12): those of 8 heads, then every other one of 16."""
    assert slopes(12).tolist() == pytest.approx(
        [2.0**-n for n in range(1, 9)] + [2.0**-n for n in (0.5, 1.5, 2.5, 3.5)], rel=1e-15
    )


def test_alibi_that_bfloat16_cannot_hold_stays_in_float32() -> None:
    """bfloat16 has 8 significant bits: 300 tokens apart is not exact, 30 are."""
    far = square.case_of("none", "4x4", score=Score(alibi=True), dtype="bfloat16", Mkv=300)
    assert dense.additive(recipe.make(far)).dtype is torch.float32
    near = far.edit(Mkv=30)
    assert dense.additive(recipe.make(near)).dtype is torch.bfloat16


def test_xformers_refuses_alibi_that_would_lose_distances() -> None:
    """A bias must have the queries' dtype in xFormers; losing distances silently is no answer."""
    far = square.case_of("none", "4x4", score=Score(alibi=True), dtype="bfloat16", Mkv=300)
    assert isinstance(square.lowered("xformers", far), Refusal)


def test_a_dense_mask_counts_its_memory() -> None:
    """`bytes` is what the tensor occupies: 1 byte a pair for booleans, 4 for float32."""
    case = square.case_of("causal(align=top-left)", "17x33")
    flat, padded = square.lowered("dense", case), square.lowered("xformers-float", case)
    assert isinstance(flat, Lowered)
    assert isinstance(padded, Lowered)
    assert (flat.bytes, padded.bytes) == (17 * 33, 17 * 40 * 4)
