"""Backends whose kernels need a GPU, driven on the CPU with stand-ins that keep their signatures.

What is tested is ours: layouts, arguments, log-sum-exp, and what is undone afterwards.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from attnprobe import masks
from attnprobe.core.case import Case, Lengths
from attnprobe.core.outcome import Measured
from attnprobe.core.score import Bias, Score
from attnprobe.core.trial import Trial
from attnprobe.device.answer import answer
from attnprobe.device.backends import _registry, load
from attnprobe.device.backends import varlen as varlen_backend
from attnprobe.device.lowering import varlen

CASE = Case(B=2, Hq=4, Hkv=2, Mq=9, Mkv=17, K=16, Kv=16, dtype="float32")
BOTTOM_RIGHT = masks.parse("causal(align=bottom-right)")


def dense(
    q: Tensor, k: Tensor, v: Tensor, causal: bool, added: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """(out, lse) of BHMK tensors, grouped heads allowed, causal from the bottom right."""
    groups = q.shape[1] // k.shape[1]
    k, v = (t.repeat_interleave(groups, 1) for t in (k, v))
    scores = q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5
    if added is not None:
        scores = scores + added
    if causal:
        forbidden = torch.ones(scores.shape[-2:], dtype=torch.bool)
        scores = scores.masked_fill(forbidden.triu(k.shape[2] - q.shape[2] + 1), float("-inf"))
    return scores.softmax(-1) @ v, scores.logsumexp(-1)


def rows(
    q: Tensor, k: Tensor, v: Tensor, cu_q: Tensor, cu_k: Tensor, causal: bool
) -> tuple[Tensor, Tensor]:
    """(out (T, H, K), lse (H, T)) of packed rows."""
    outs, lses = [], []
    for b in range(len(cu_q) - 1):
        one_q = q[cu_q[b] : cu_q[b + 1]].transpose(0, 1)[None]
        one_k, one_v = (t[cu_k[b] : cu_k[b + 1]].transpose(0, 1)[None] for t in (k, v))
        out, lse = dense(one_q, one_k, one_v, causal)
        outs.append(out[0].transpose(0, 1))
        lses.append(lse[0])
    return torch.cat(outs), torch.cat(lses, 1)


def passes(case: Case, backend: str, quantities: set[str]) -> Measured:
    outcome = answer(Trial(case, backend), lambda phase: None)
    assert isinstance(outcome, Measured), outcome
    assert outcome.parity is not None
    assert outcome.parity.verdict == "pass", outcome.parity.failures
    assert quantities <= set(outcome.parity.quantities)
    return outcome


@pytest.fixture
def flash_attn(monkeypatch: pytest.MonkeyPatch) -> None:
    """flash-attn 2's two functions."""
    stub: Any = ModuleType("flash_attn.flash_attn_interface")

    def flash_attn_func(
        q: Tensor, k: Tensor, v: Tensor, causal: bool = False, return_attn_probs: bool = False
    ) -> Any:
        out, lse = dense(*(t.transpose(1, 2) for t in (q, k, v)), causal)
        return (out.transpose(1, 2), lse, None) if return_attn_probs else out.transpose(1, 2)

    def flash_attn_varlen_func(
        q: Tensor,
        k: Tensor,
        v: Tensor,
        cu_seqlens_q: Tensor,
        cu_seqlens_k: Tensor,
        max_seqlen_q: int,
        max_seqlen_k: int,
        causal: bool = False,
        return_attn_probs: bool = False,
    ) -> Any:
        out, lse = rows(q, k, v, cu_seqlens_q, cu_seqlens_k, causal)
        return (out, lse, None) if return_attn_probs else out

    stub.flash_attn_func, stub.flash_attn_varlen_func = flash_attn_func, flash_attn_varlen_func
    monkeypatch.setitem(sys.modules, "flash_attn", ModuleType("flash_attn"))
    monkeypatch.setitem(sys.modules, "flash_attn.flash_attn_interface", stub)
    monkeypatch.setattr(load("flash-attn-2"), "_refusals", lambda case: ())


@pytest.mark.parametrize("lengths", [None, Lengths((9, 4), (17, 11), "packed")])
@pytest.mark.usefixtures("flash_attn")
def test_flash_attn_gets_its_layouts(lengths: Lengths | None) -> None:
    """(B, M, H, K) or packed (T, H, K); output, gradients and log-sum-exp come back canonical."""
    case = CASE.edit(mask=BOTTOM_RIGHT, lengths=lengths)
    passes(case, "flash-attn-2", {"out", "lse", "dq", "dk", "dv"})


@pytest.mark.parametrize("lengths", [None, Lengths((9, 4), (17, 11), "packed")])
def test_varlen_gets_rows(monkeypatch: pytest.MonkeyPatch, lengths: Lengths | None) -> None:
    """Full padded tensors are sequences of equal length."""

    def stand_in(
        query: Tensor,
        key: Tensor,
        value: Tensor,
        cu_seq_q: Tensor,
        cu_seq_k: Tensor,
        max_q: int,
        max_k: int,
        *,
        return_aux: Any = None,
        scale: float | None = None,
        window_size: tuple[int, int] = (-1, -1),
        enable_gqa: bool = False,
    ) -> Any:
        out, lse = rows(query, key, value, cu_seq_q, cu_seq_k, window_size == (-1, 0))
        return (out, lse) if return_aux else out

    monkeypatch.setattr(varlen, "installed", lambda: stand_in)
    monkeypatch.setattr(varlen_backend, "refusals", lambda case: ())
    case = CASE.edit(mask=BOTTOM_RIGHT, lengths=lengths)
    outcome = passes(case, "varlen", {"out", "lse", "dq", "dk", "dv"})
    assert "window_size=(-1, 0)" in outcome.form


@pytest.fixture
def xformers(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """memory_efficient_attention that materialises its bias; returns the shapes of q that it saw."""
    backend: Any = load("xformers-cutlass")
    try:
        backend.available()
    except Exception as error:  # noqa: BLE001 - absent or broken, for whatever reason
        pytest.skip(f"xformers: {error}")
    from attnprobe.device.backends._xformers import fmha

    seen: list[Any] = []

    def attend(q: Tensor, k: Tensor, v: Tensor, attn_bias: Any = None, **_: Any) -> Any:
        seen.append(q.shape)
        merged = [(t.flatten(2, 3) if t.dim() == 5 else t).transpose(1, 2) for t in (q, k, v)]
        shape = (q.shape[0], merged[0].shape[1], q.shape[1], k.shape[1])
        tensor = isinstance(attn_bias, Tensor) or attn_bias is None
        added = attn_bias if tensor else attn_bias.materialize(shape)
        out, lse = dense(*merged, False, added)
        return out.transpose(1, 2).reshape(*q.shape[:-1], -1), lse

    def first(*arguments: Any, **named: Any) -> Tensor:
        out: Tensor = attend(*arguments, **named)[0]
        return out

    monkeypatch.setattr(fmha(), "memory_efficient_attention", first)
    monkeypatch.setattr(fmha(), "memory_efficient_attention_forward_requires_grad", attend)
    monkeypatch.setattr(backend, "_reasons", lambda *_: ())
    return seen


def test_xformers_gets_grouped_heads_expanded_forward(xformers: list[Any]) -> None:
    """Five dimensions, as an expanded view."""
    passes(CASE.edit(passes="fwd", mask=BOTTOM_RIGHT), "xformers-cutlass", {"out", "lse"})
    assert xformers[0] == (2, 9, 2, 2, 16)


def test_xformers_gets_grouped_heads_repeated_for_a_backward(xformers: list[Any]) -> None:
    """No backward operator takes five dimensions; the form says what was done."""
    outcome = passes(CASE, "xformers-cutlass", {"out", "lse", "dq", "dk", "dv"})
    assert xformers[0] == (2, 9, 4, 16)
    assert "repeated" in outcome.form


@pytest.mark.usefixtures("xformers")
def test_xformers_gets_a_bias_that_it_does_not_broadcast() -> None:
    """Expanded and aligned for the call; its gradient comes back in the bias' own shape."""
    score = Score(bias=Bias(M=False, requires_grad=True))
    passes(CASE.edit(Hkv=4, score=score), "xformers-cutlass", {"out", "dq", "dk", "dv", "dbias"})


@pytest.mark.usefixtures("xformers")
def test_xformers_gets_packed_rows() -> None:
    """(1, T, H, K) with a block-diagonal mask."""
    case = CASE.edit(Hkv=4, lengths=Lengths((9, 4), (17, 11), "packed"))
    outcome = passes(case, "xformers-cutlass", {"out", "lse", "dq", "dk", "dv"})
    assert outcome.form == "BlockDiagonalMask"


@pytest.mark.parametrize("fails", [False, True])
def test_a_flash_implementation_is_active_for_one_case_alone(
    monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    """Whatever happens inside, the process has its own kernels again."""
    steps: list[str] = []
    backend: Any = load("sdpa-fa4")
    stand_ins: dict[str, Callable[..., object]] = {
        "current_flash_attention_impl": lambda: None,
        "activate_flash_attention_impl": lambda name: steps.append(f"on {name}"),
        "restore_flash_attention_impl": lambda: steps.append("off"),
    }
    for name, stand_in in stand_ins.items():
        monkeypatch.setattr(nn.attention, name, stand_in, raising=False)

    def case() -> None:
        with backend._activated():
            steps.append("flash only" if not torch.backends.cuda.math_sdp_enabled() else "any")
            if fails:
                raise ZeroDivisionError

    if fails:
        with pytest.raises(ZeroDivisionError):
            case()
    else:
        case()
    assert steps == ["on FA4", "flash only", "off"]
    assert torch.backends.cuda.math_sdp_enabled()


def test_a_registered_name_is_a_claim_and_no_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """Torch lists FA3 and FA4 whether or not they are installed."""
    monkeypatch.setattr(_registry, "registered", lambda: ("FA3", "FA4"))
    claim = load("sdpa-fa3").claim()
    assert claim.available
    assert claim.version == ""
