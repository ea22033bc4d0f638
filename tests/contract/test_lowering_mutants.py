"""The square is not blind: each error planted in a mask or a lowering makes it disagree.

A mutant replaces one function, as a plausible slip would, and names the ways that must notice.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from torch.nn.attention import flex_attention as flex_module

from attnprobe.core.mask import NONE, Mask
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


def _caught(way: str) -> bool:
    """Whether some mask on some shape disagrees; a check that the library or a reader makes counts."""
    try:
        return any(square.disagreement(way, *pair) for pair in square.combinations())
    except (AssertionError, ValueError):
        return True


def pairs(mutants: dict[str, Mutant]) -> list[tuple[str, str]]:
    return [(name, way) for name, mutant in mutants.items() for way in mutant.ways]


def plant(mutant: Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    original = getattr(mutant.target, mutant.name)
    monkeypatch.setattr(mutant.target, mutant.name, mutant.make(original))


@pytest.mark.parametrize(("name", "way"), pairs(MUTANTS))
def test_the_square_catches_a_wrong_mask(
    name: str, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A planted error makes the square disagree."""
    plant(MUTANTS[name], monkeypatch)
    assert _caught(way)
