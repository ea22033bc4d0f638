"""The square is not blind: each error planted in a mask or a lowering makes it disagree.

A mutant replaces one function, as a plausible slip would, and names the ways that must notice.
"""

from __future__ import annotations

import doctest
import importlib
import inspect
import itertools
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from torch.nn import functional
from torch.nn.attention import flex_attention as flex_module

from attnprobe.core.mask import NONE, Mask
from attnprobe.device.alibi import slopes
from attnprobe.device.lowering import (
    band,
    dense,
    flash,
    flex,
    lucidrains,
    mha,
    njt,
    packed,
    sdpa,
    varlen,
    xformers,
)
from attnprobe.device.lowering.base import Lowered
from tests.contract import square
from tests.contract import test_square_scores as scores


@dataclass(frozen=True)
class Mutant:
    """An error: `target.name` becomes `make(original)`; every one of `ways` must disagree."""

    target: Any
    name: str
    make: Callable[[Any], Any]
    ways: tuple[str, ...]


def after(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[[Any], Any]:
    """A lowering whose arguments are changed at the end."""

    def make(lower: Any) -> Any:
        def mutated(inputs: Any, **options: Any) -> Any:
            said = lower(inputs, **options)
            changes = isinstance(said, Lowered)
            return replace(said, arguments=change(dict(said.arguments))) if changes else said

        return mutated

    return make


def edited(**changes: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A lowering that gives some arguments another value, where it gives them at all."""
    return after(lambda a: {k: changes[k](v) if k in changes else v for k, v in a.items()})


def case_edited(change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A function of a case (or inputs) that sees a changed case."""

    def make(function: Any) -> Any:
        def mutated(first: Any, *rest: Any, **options: Any) -> Any:
            if hasattr(first, "case"):
                return function(replace(first, case=change(first.case)), *rest, **options)
            return function(change(first), *rest, **options)

        return mutated

    return make


def mask_edited(change: Callable[[Mask], Mask]) -> Callable[[Any], Any]:
    """A function of a case that sees a changed mask."""
    return case_edited(lambda case: case.edit(mask=change(case.mask)))


def flipped(mask: Mask) -> Mask:
    """The other alignment."""
    other = "bottom-right" if mask.align == "top-left" else "top-left"
    return replace(mask, align=other)


def longer(mask: Mask) -> Mask:
    """A window of one key more."""
    return mask if mask.left is None else replace(mask, left=mask.left + 1)


def _unchecked(case: Any) -> band.Band:
    """The shift is done, the sign not looked at."""
    first = case.sequences[0]
    shift = case.mask.shift(first.Mq, first.Mkv) - (first.Mkv - first.Mq)
    left, right = case.mask.left, case.mask.right
    return band.Band(
        None if left is None else left - shift, None if right is None else right + shift
    )


def _shifted_documents(of: Any) -> Any:
    def mutated(case: Any, device: Any) -> Any:
        found = of(case, device)
        return replace(found, kv=found.kv.roll(1, -1))

    return mutated


def _without_batch(mod: Any, **options: Any) -> Any:
    return flex_module.create_block_mask(mod, **(options | {"B": None}))


def _packed_starts(of: Any) -> Any:
    """Padded keys taken for packed ones."""

    def mutated(case: Any, device: Any) -> Any:
        kv = torch.tensor([0, *itertools.accumulate(s.Mkv for s in case.sequences)])
        return replace(of(case, device), cu_kv=kv.to(torch.int32))

    return mutated


FLASH = ("flash-2", "flash-3", "flash-4")
MUTANTS = {
    "window one key longer (flash)": Mutant(flash, "bottom_right", mask_edited(longer), FLASH),
    "window one key longer (xformers)": Mutant(
        xformers, "bottom_right", mask_edited(longer), ("xformers",)
    ),
    "window counts the diagonal twice (varlen)": Mutant(
        varlen, "_side", lambda side: lambda n: -1 if n is None else n + 1, ("varlen",)
    ),
    "top-left shift dropped": Mutant(
        flash, "bottom_right", lambda _: lambda case: band.Band(case.mask.left, case.mask.right), FLASH
    ),
    "negative side passed on": Mutant(flash, "bottom_right", lambda _: _unchecked, FLASH),
    "alignment lost (dense)": Mutant(dense, "allowed", mask_edited(flipped), ("dense", "sdpa", "mha")),
    "alignment lost (flex)": Mutant(flex, "mask_mod", mask_edited(flipped), ("flex",)),
    "alignment lost (xformers packed)": Mutant(xformers, "_packed", mask_edited(flipped), ("xformers",)),
    "is_causal for bottom-right (sdpa)": Mutant(
        sdpa,
        "lower",
        lambda lower: lambda inputs, **o: (
            Lowered({"is_causal": True, "enable_gqa": True})
            if inputs.case.mask.is_causal and inputs.case.lengths is None
            else lower(inputs, **o)
        ),
        ("sdpa", "sdpa-causal-bias"),
    ),
    "is_causal without a causal mask (njt)": Mutant(
        njt,
        "lower",
        lambda lower: lambda inputs: (
            lower(replace(inputs, case=inputs.case.edit(mask=replace(NONE, right=0, align="top-left"))))
            if inputs.case.mask.is_none
            else lower(inputs)
        ),
        ("njt",),
    ),
    "causal hint for another alignment (mha)": Mutant(
        mha, "_said", mask_edited(lambda m: replace(m, align="top-left")), ("mha",)
    ),
    "wrong kind of causal (lucidrains)": Mutant(
        lucidrains,
        "lower",
        lambda lower: lambda inputs, causal="top-left": lower(
            inputs, causal="bottom-right" if causal == "top-left" else "top-left"
        ),
        ("lucidrains", "lucidrains-whole"),
    ),
    "polarity inverted (mha)": Mutant(
        mha, "lower", edited(attn_mask=lambda m: ~m if m.dtype is torch.bool else m), ("mha",)
    ),
    "polarity inverted (mha padding)": Mutant(
        mha, "lower", edited(key_padding_mask=lambda m: ~m), ("mha",)
    ),
    "polarity inverted (sdpa)": Mutant(
        sdpa, "lower", edited(attn_mask=lambda m: ~m if m.dtype is torch.bool else m), ("sdpa",)
    ),
    "key padding one off (mha)": Mutant(
        mha, "lower", edited(key_padding_mask=lambda m: m.roll(1, 1)), ("mha",)
    ),
    "key padding one off (lucidrains)": Mutant(
        lucidrains, "lower", edited(mask=lambda m: m.roll(1, 1)), ("lucidrains",)
    ),
    "document ids shifted": Mutant(flex.Documents, "of", _shifted_documents, ("flex",)),
    "positions not restarted": Mutant(
        flex.Documents,
        "of",
        lambda of: lambda case, device: replace(
            of(case, device),
            i=torch.arange(case.q_shape[2]).expand(case.q_shape[0], -1),
        ),
        ("flex",),
    ),
    "batch broadcast in the BlockMask": Mutant(
        flex,
        "lower",
        lambda lower: lambda inputs, **o: lower(inputs, create=_without_batch, **o),
        ("flex",),
    ),
    "lengths ignored (dense)": Mutant(
        dense, "allowed", case_edited(lambda c: c if c.storage != "padded" else c.edit(lengths=None)),
        ("dense", "sdpa", "xformers", "mha", "lucidrains"),
    ),
    "cumulative lengths without the first": Mutant(
        packed, "_starts", lambda starts: lambda n, d: starts(n, d).roll(-1), (*FLASH, "varlen")
    ),
    "padded keys start where packed ones would": Mutant(
        packed.Packed, "of", _packed_starts, ("flash-3", "flash-4", "varlen")
    ),
    "padded keys counted as full": Mutant(
        flash, "lower", edited(seqused_k=lambda n: n + 1), ("flash-3", "flash-4")
    ),
    "slots of the longest sequence (xformers)": Mutant(
        xformers,
        "_in_slots",
        lambda f: lambda case, device, keys, size, module: f(
            case.edit(Mkv=max(case.lengths.kv)), device, keys, size, module
        ),
        ("xformers", "xformers-gappy"),
    ),
    "bias rows at the front of a padded row": Mutant(
        xformers, "aligned", lambda f: lambda case, added: f(case, added).roll(1, -1), ("xformers",)
    ),
}  # fmt: skip


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


def _caught(way: str) -> bool:
    """Whether some mask on some shape disagrees; a check that the library or a reader makes counts."""
    try:
        return any(square.disagreement(way, *pair) for pair in square.combinations())
    except (AssertionError, ValueError):
        return True


def _noticed(run: str) -> bool:
    every = itertools.product(("none", "causal(align=top-left)"), ("4x4", "2x5"), scores.SCORES)
    found = (scores.difference(run, mask, shape, scores.SCORES[s]) for mask, shape, s in every)
    return any(d is not None and not d < 1e-5 for d in found)


def _pairs(mutants: dict[str, Mutant]) -> list[tuple[str, str]]:
    return [(name, way) for name, mutant in mutants.items() for way in mutant.ways]


@pytest.fixture(autouse=True)
def _uncompiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Flex without torch.compile: hundreds of small cases."""
    monkeypatch.setattr(flex_module, "_FLEX_ATTENTION_DISABLE_COMPILE_DEBUG", True)


def _plant(mutant: Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    original = getattr(mutant.target, mutant.name)
    monkeypatch.setattr(mutant.target, mutant.name, mutant.make(original))


@pytest.mark.parametrize(("name", "way"), _pairs(MUTANTS))
def test_the_square_catches_a_wrong_mask(
    name: str, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A planted error makes the square disagree."""
    _plant(MUTANTS[name], monkeypatch)
    assert _caught(way)


@pytest.mark.parametrize(("name", "run"), _pairs(SCORE_MUTANTS))
def test_the_square_catches_a_wrong_score(
    name: str, run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A planted error moves a probability."""
    _plant(SCORE_MUTANTS[name], monkeypatch)
    assert _noticed(run)


def test_the_square_catches_key_heads_in_the_wrong_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Query head h belongs to key head h // G, not to h % Hkv."""
    monkeypatch.setitem(scores.RUNS, "sdpa", ("sdpa", _repeated_heads))
    assert _noticed("sdpa")


DEFINITIONS = {
    "prefix one short": ("prefix_lm", "j < self.prefix", "j < self.prefix - 1"),
    "prefix one long": ("prefix_lm", "j < self.prefix", "j <= self.prefix"),
    "prefix without the causal part": ("prefix_lm", "(j <= i + shift) | ", ""),
    "dilation from the wrong corner": ("dilated", "j - i - shift", "j - i"),
    "blocks from the wrong corner": ("block_diagonal", "(i + shift)", "i"),
    "sinks not causal": ("sinks", "(j <= i + shift) & ", ""),
    "one sink more": ("sinks", "j < self.count", "j <= self.count"),
    "causal of the other corner": ("causal", "Mask(None, 0, align)", 'Mask(None, 0, "top-left")'),
    "window mirrored": ("sliding_window", "Mask(left, right, align)", "Mask(right, left, align)"),
}


@pytest.mark.parametrize("name", DEFINITIONS)
def test_the_pictures_catch_a_wrong_definition(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The square compares with the definition; the pictures in each family's docstring check that."""
    family, right, wrong = DEFINITIONS[name]
    module = importlib.import_module(f"attnprobe.masks.{family}")
    source = inspect.getsource(module)
    assert right in source
    mutated = types.ModuleType(family)
    monkeypatch.setitem(sys.modules, family, mutated)  # dataclasses look their module up
    exec(compile(source.replace(right, wrong), family, "exec", dont_inherit=True), vars(mutated))
    assert doctest.testmod(mutated, report=False, verbose=False).failed > 0
