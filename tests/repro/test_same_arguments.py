"""Libraries that need a GPU are called with the arguments that the lowerings make."""

from __future__ import annotations

import importlib
import sys
import types
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.attention.varlen
from torch import Tensor

from attnprobe import masks
from attnprobe.core.case import Case, Lengths
from attnprobe.core.outcome import Measured
from attnprobe.core.parity import Parity
from attnprobe.core.score import Score
from attnprobe.core.trial import Record, Trial
from attnprobe.device import inputs as recipe
from attnprobe.device.backends._xformers import _layout
from attnprobe.device.layouts import BMHK, THK, Layout
from attnprobe.device.lowering import flash, varlen, xformers
from attnprobe.device.lowering.base import Refusal
from tests.repro.scripts import executed, write
from tests.repro.test_same_bits import cases


class Called(Exception):
    """The library was called with these arguments."""

    def __init__(self, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        super().__init__("called")
        self.arguments, self.named = arguments, named


def record_call(*arguments: Any, **named: Any) -> None:
    raise Called(arguments, named)


EVERY = [
    *cases(),
    *(
        Case(2, 4, 2, 9, 9, 8, 8, mask=masks.parse(mask), lengths=lengths, passes=passes)
        for mask in (
            "none",
            "causal(align=top-left)",
            "causal(align=bottom-right)",
            "sliding-window(left=3, right=0, align=bottom-right)",
            "sliding-window(left=3, right=2, align=bottom-right)",
            "sliding-window(left=none, right=1, align=bottom-right)",
        )
        for lengths in (
            None,
            Lengths((4, 9), (4, 9), "packed", tail=2),
            Lengths((4, 5), (8, 9), "packed"),
            Lengths((4, 5), (8, 9), "packed-padded-keys"),
        )
        for passes in ("fwd", "fwd+bwd")
    ),
    Case(2, 4, 4, 9, 9, 8, 8, score=Score(scale=0.3, softcap=5.0, alibi=True)),
]


def made(case: Case, backend: str) -> Called:
    """What the script of this case calls the library with."""
    outcome = Measured("", Parity("pass", "fused"))
    text = write(Record(Trial(case, backend), outcome))
    with pytest.raises(Called) as caught:
        executed(text)
    return caught.value


def alike(one: Any, other: Any, case: Case) -> bool:
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return one.shape == other.shape and one.dtype == other.dtype and torch.equal(one, other)
    if hasattr(one, "materialize"):
        size = (case.q_shape[2], case.k_shape[2])
        if hasattr(one, "q_seqinfo"):  # it ends with its last sequence, before any tail
            size = tuple(info.seqstart_py[-1] for info in (one.q_seqinfo, one.k_seqinfo))
        drawn = (bias.materialize(size, torch.float32) for bias in (one, other))
        return type(one) is type(other) and torch.equal(*drawn)
    return bool(one == other)


def same_tensors(found: Called, layout: Layout, inputs: recipe.Inputs) -> None:
    for name, given in zip("qkv", found.arguments[:3], strict=True):
        native = layout.native(name, getattr(inputs, name))
        assert torch.equal(given.detach(), native), name
        assert given.stride() == native.stride(), name


def same(found: dict[str, Any], wanted: dict[str, Any], case: Case) -> None:
    assert found.keys() == wanted.keys(), case.label
    for name, value in wanted.items():
        assert alike(found[name], value, case), f"{case.label}: {name}: {found[name]} != {value}"


@pytest.mark.parametrize("version", [2, 3, 4])
def test_flash_attn(version: int, monkeypatch: pytest.MonkeyPatch):
    """Dense and packed calls of the three releases."""
    module = {
        2: "flash_attn.flash_attn_interface",
        3: "flash_attn_interface",
        4: "flash_attn.cute.interface",
    }
    parts = module[version].split(".")
    for n in range(1, len(parts) + 1):
        stub = types.ModuleType(".".join(parts[:n]))
        monkeypatch.setitem(sys.modules, stub.__name__, stub)
    for name in ("flash_attn_func", "flash_attn_varlen_func"):
        setattr(sys.modules[module[version]], name, record_call)
    compared = 0
    for case in EVERY:
        inputs = recipe.make(case)
        lowered = flash.lower(inputs, version)
        if isinstance(lowered, Refusal):
            continue
        compared += 1
        found = made(case, f"flash-attn-{version}")
        same(found.named, lowered.arguments, case)
        same_tensors(found, BMHK() if case.storage == "padded" else THK(), inputs)
    assert compared > 20


def test_varlen(monkeypatch: pytest.MonkeyPatch):
    """Packed rows, full rows and keys in slots."""
    signature = torch.nn.attention.varlen.varlen_attn
    monkeypatch.setattr(torch.nn.attention.varlen, "varlen_attn", record_call)
    compared = 0
    for case in EVERY:
        inputs = recipe.make(case)
        lowered = varlen.lower(inputs, signature)
        if isinstance(lowered, Refusal):
            continue
        compared += 1
        found = made(case, "varlen")
        positional = dict(
            zip(("cu_seq_q", "cu_seq_k", "max_q", "max_k"), found.arguments[3:], strict=True)
        )
        same(positional | found.named, lowered.arguments, case)
        same_tensors(found, THK(inputs.q.shape[0]), inputs)
    assert compared > 20


@pytest.mark.filterwarnings("ignore")
def test_xformers(monkeypatch: pytest.MonkeyPatch):
    """Every mask class and the dense bias, with the operators of the backend."""
    pytest.importorskip("xformers.ops")
    ops: Any = importlib.import_module("xformers.ops")
    cutlass: Any = importlib.import_module("xformers.ops.fmha.cutlass")
    monkeypatch.setattr(ops, "memory_efficient_attention", record_call)
    forms: set[str] = set()
    for case in EVERY:
        inputs = recipe.make(case)
        lowered = xformers.lower(inputs)
        if isinstance(lowered, Refusal):
            continue
        forms.add(lowered.form.partition(" ")[0])
        found = made(case, "xformers-cutlass")
        assert found.named.pop("op") == (cutlass.FwOp, cutlass.BwOp)
        same(found.named, lowered.arguments, case)
        layout = _layout(case, lowered.arguments.get("attn_bias"))
        for name, given in zip("qkv", found.arguments, strict=True):
            assert torch.equal(given.detach(), layout.native(name, getattr(inputs, name))), name
    assert len(forms) >= 11, forms


def test_a_difference_is_seen(monkeypatch: pytest.MonkeyPatch):
    """Another window than the lowering's fails the comparison."""
    case = Case(2, 2, 2, 9, 9, 8, 8, mask=masks.parse("causal(align=top-left)"))
    signature: Callable[..., Any] = torch.nn.attention.varlen.varlen_attn
    monkeypatch.setattr(torch.nn.attention.varlen, "varlen_attn", record_call)
    lowered = varlen.lower(recipe.make(case.edit(mask=masks.parse("none"))), signature)
    assert not isinstance(lowered, Refusal)
    with pytest.raises(AssertionError):
        same(made(case, "varlen").named, {}, case)
