"""Errors planted in how a score is said move a probability by more than rounding."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.nn import functional
from torch.nn.attention import flex_attention as flex_module

from attnprobe.device.alibi import slopes
from attnprobe.device.lowering import dense, flash, flex, sdpa
from tests.contract import test_square_scores as scores
from tests.contract.test_lowering_mutants import Mutant, case_edited, pairs, plant


def _from_top_left(_: Any) -> Any:
    """ALiBi with diagonal 0 at the top left."""

    def mutated(case: Any, device: Any) -> torch.Tensor:
        distance = (torch.arange(case.Mq)[:, None] - torch.arange(case.Mkv)).abs()
        return -slopes(case.Hq).float()[:, None, None] * distance

    return mutated


def _cap_last(score_mod: Any) -> Any:
    """Soft cap after ALiBi and bias."""

    def mutated(inputs: Any, documents: Any) -> Any:
        score = inputs.case.score
        if score.softcap is None:
            return score_mod(inputs, documents)
        uncapped = inputs.case.edit(score=replace(score, softcap=None))
        plain = score_mod(replace(inputs, case=uncapped), documents)
        cap = score.softcap
        return lambda s, *at: cap * torch.tanh((plain(s, *at) if plain else s) / cap)

    return mutated


def bias_edited(change: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[Any], Any]:
    """A function of inputs that sees a changed bias."""

    def make(function: Any) -> Any:
        def mutated(inputs: Any, *rest: Any, **options: Any) -> Any:
            bias = None if inputs.bias is None else change(inputs.bias)
            return function(replace(inputs, bias=bias), *rest, **options)

        return mutated

    return make


def _repeated_heads(case: Any, tensors: Any, said: Any) -> torch.Tensor:
    """Key heads 0 1 0 1 instead of 0 0 1 1."""
    keys = tensors.k.repeat(1, case.groups, 1, 1)
    values = torch.eye(case.k_shape[2]).expand(*keys.shape[:2], -1, -1)
    options = {k: v for k, v in said.arguments.items() if k != "enable_gqa"}
    return functional.scaled_dot_product_attention(tensors.q, keys, values, **options)


negative = Mutant(None, "slopes", lambda f: lambda Hq: -f(Hq), ())
reversed_heads = Mutant(None, "slopes", lambda f: lambda Hq: f(Hq).flip(0), ())
by_key_head = Mutant(None, "slopes", lambda f: lambda Hq: f(Hq // 2).repeat_interleave(2), ())
transposed = bias_edited(lambda t: t.mT if t.shape[2] != t.shape[3] and 1 in t.shape[2:] else t)
SCORE_MUTANTS = {
    "ALiBi grows (flex)": replace(negative, target=flex, ways=("flex",)),
    "ALiBi grows (dense)": replace(negative, target=dense, ways=("sdpa", "xformers")),
    "ALiBi grows (flash)": replace(negative, target=flash, ways=("flash-2",)),
    "slopes in reverse (flex)": replace(reversed_heads, target=flex, ways=("flex",)),
    "slopes in reverse (dense)": replace(reversed_heads, target=dense, ways=("sdpa", "lucidrains")),
    "slopes in reverse (flash)": replace(reversed_heads, target=flash, ways=("flash-2",)),
    "slopes by key head (flex)": replace(by_key_head, target=flex, ways=("flex",)),
    "ALiBi from the top left": Mutant(dense, "alibi", _from_top_left, ("sdpa",)),
    "soft cap after the bias": Mutant(flex, "score_mod", _cap_last, ("flex",)),
    "soft cap dropped (flash)": Mutant(
        flash,
        "_score",
        case_edited(lambda c: c.edit(score=replace(c.score, softcap=None))),
        ("flash-2",),
    ),
    "scale dropped (sdpa)": Mutant(
        sdpa,
        "_common",
        case_edited(lambda c: c.edit(score=replace(c.score, scale=None))),
        ("sdpa",),
    ),
    "bias along the other dimension (flex)": Mutant(flex, "score_mod", transposed, ("flex",)),
    "bias of head 0 for all": Mutant(
        dense, "additive", bias_edited(lambda t: t[:, :1]), ("sdpa", "lucidrains", "xformers")
    ),
    "bias of sequence 0 for all": Mutant(
        dense, "additive", bias_edited(lambda t: t[:1]), ("sdpa", "lucidrains", "xformers")
    ),
}


def _noticed(run: str) -> bool:
    every = itertools.product(("none", "causal(align=top-left)"), ("4x4", "2x5"), scores.SCORES)
    found = (scores.difference(run, mask, shape, scores.SCORES[s]) for mask, shape, s in every)
    return any(d is not None and not d < 1e-5 for d in found)


@pytest.fixture(autouse=True)
def _uncompiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Flex without torch.compile: hundreds of small cases."""
    monkeypatch.setattr(flex_module, "_FLEX_ATTENTION_DISABLE_COMPILE_DEBUG", True)


@pytest.mark.parametrize(("name", "run"), pairs(SCORE_MUTANTS))
def test_the_square_catches_a_wrong_score(
    name: str, run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A planted error moves a probability."""
    plant(SCORE_MUTANTS[name], monkeypatch)
    assert _noticed(run)


def test_the_square_catches_key_heads_in_the_wrong_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Query head h belongs to key head h // G, not to h % Hkv."""
    monkeypatch.setitem(scores.RUNS, "sdpa", ("sdpa", _repeated_heads))
    assert _noticed("sdpa")
