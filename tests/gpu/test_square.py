"""On a GPU the kernels themselves attend what the mask says: zero scores, one-hot values.

On the CPU the square reads flash-attn's, varlen_attn's and nested tensors' arguments by documentation,
and xFormers' by its materialiser; here their kernels are run.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

from attnprobe.core.case import Case
from attnprobe.device import inputs as recipe
from attnprobe.device.inputs import Inputs
from attnprobe.device.lowering import flash, njt, sdpa, varlen, xformers
from attnprobe.device.lowering.base import Lowered, Refusal
from tests.contract import square

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device is visible to torch"),
]

K = 64  # one-hot values need a column per key: at most 64 keys in a row
REFUSALS = (NotImplementedError, ValueError, RuntimeError)


def _bhmk(case: Case) -> tuple[Tensor, Tensor, Tensor]:
    Bc, Hq, Tq, _ = case.q_shape
    _, Hkv, Tkv, _ = case.k_shape
    options: dict[str, Any] = {"dtype": torch.bfloat16, "device": "cuda"}
    values = torch.eye(Tkv, K, **options).expand(Bc, Hkv, Tkv, K).contiguous()
    return torch.zeros(Bc, Hq, Tq, K, **options), torch.zeros(Bc, Hkv, Tkv, K, **options), values


def _tokens(case: Case, expanded: bool = False) -> list[Tensor]:
    """(T, H, K), key heads expanded to Hq where asked."""
    q, *keys = _bhmk(case)
    keys = [t.repeat_interleave(case.groups, 1) for t in keys] if expanded else keys
    return [t.transpose(1, 2).flatten(0, 1).contiguous() for t in (q, *keys)]


def _canonical(case: Case, tokens: Tensor) -> Tensor:
    return tokens.view(case.q_shape[0], case.q_shape[2], case.Hq, K).transpose(1, 2)


def _sdpa(kernel: SDPBackend, case: Case, said: Lowered) -> Tensor:
    with sdpa_kernel([kernel]):
        return scaled_dot_product_attention(*_bhmk(case), **said.arguments)


def _varlen(case: Case, said: Lowered) -> Tensor:
    function = varlen.installed()
    assert function is not None
    return _canonical(case, function(*_tokens(case, expanded=True), **said.arguments))


def _njt(case: Case, said: Lowered) -> Tensor:
    a = dict(said.arguments)
    queries = {"offsets": a.pop("offsets_q"), "max_seqlen": a.pop("max_q")}
    keys = {"offsets": a.pop("offsets_kv"), "max_seqlen": a.pop("max_kv")}
    q, k, v = _tokens(case, expanded=True)
    jagged = torch.nested.nested_tensor_from_jagged
    nested = [jagged(t, **at).transpose(1, 2) for t, at in ((q, queries), (k, keys), (v, keys))]
    return _canonical(case, scaled_dot_product_attention(*nested, **a).transpose(1, 2).values())


def _xformers(op: str, case: Case, said: Lowered) -> Tensor:
    fmha = importlib.import_module("xformers.ops.fmha")
    q, k, v = (t.transpose(1, 2).contiguous() for t in _bhmk(case))
    k, v = (t.repeat_interleave(case.groups, 2) for t in (k, v))
    operator = getattr(fmha, op).FwOp
    out = fmha.memory_efficient_attention_forward(q, k, v, op=operator, **said.arguments)
    return out.transpose(1, 2)


def _flash(module: str, case: Case, said: Lowered) -> Tensor:
    library = importlib.import_module(module)
    if "cu_seqlens_q" in said.arguments:
        out = library.flash_attn_varlen_func(*_tokens(case), **said.arguments)
        return _canonical(case, out[0] if isinstance(out, tuple) else out)
    q, k, v = (t.transpose(1, 2).contiguous() for t in _bhmk(case))
    out = library.flash_attn_func(q, k, v, **said.arguments)
    return (out[0] if isinstance(out, tuple) else out).transpose(1, 2)


Run = tuple[Callable[[Inputs], Lowered | Refusal], Callable[[Case, Lowered], Tensor], str]
RUNS: dict[str, Run] = {
    "sdpa-flash": (
        partial(sdpa.lower, causal_bias=True), partial(_sdpa, SDPBackend.FLASH_ATTENTION), "torch",
    ),
    "sdpa-mem-efficient": (
        partial(sdpa.lower, causal_bias=True),
        partial(_sdpa, SDPBackend.EFFICIENT_ATTENTION),
        "torch",
    ),
    "sdpa-cudnn": (sdpa.lower, partial(_sdpa, SDPBackend.CUDNN_ATTENTION), "torch"),
    "sdpa-math": (sdpa.lower, partial(_sdpa, SDPBackend.MATH), "torch"),
    "varlen": (varlen.lower, _varlen, "torch.nn.attention.varlen"),
    "njt": (njt.lower, _njt, "torch"),
    "xformers-cutlass": (xformers.lower, partial(_xformers, "cutlass"), "xformers.ops.fmha"),
    "xformers-fa2": (xformers.lower, partial(_xformers, "flash"), "xformers.ops.fmha"),
    "xformers-splitk": (xformers.lower, partial(_xformers, "triton_splitk"), "xformers.ops.fmha"),
    "xformers-gappy": (
        partial(xformers.lower, keys="gappy"), partial(_xformers, "flash"), "xformers.ops.fmha",
    ),
    "flash-attn-2": (flash.lower, partial(_flash, "flash_attn"), "flash_attn.flash_attn_interface"),
    "flash-attn-3": (
        partial(flash.lower, version=3), partial(_flash, "flash_attn_interface"),
        "flash_attn_interface",
    ),
    "flash-attn-4": (
        partial(flash.lower, version=4), partial(_flash, "flash_attn.cute"), "flash_attn.cute",
    ),
}  # fmt: skip


KNOWN = {
    ("xformers-cutlass", mask, shape)
    for mask in (
        "causal(align=bottom-right)",
        "sliding-window(left=2, right=0, align=bottom-right)",
    )
    for shape in ("5x2", "32x16")
}
"""Kernels that attend otherwise than their own bias class says: seen with xformers 0.0.35 on an H200,
where CUTLASS masks nothing at all in a block of queries that begins before the first key's diagonal. A
pair that no longer differs fails the test too, so that the list cannot outlive the defects."""


def _wrong(name: str, mask: str, shape: str) -> str | None:
    """None when nothing ran; else empty or what differs. Rows without keys follow no convention."""
    lower, run, _ = RUNS[name]
    heads = 4 if name.startswith(("varlen", "njt", "sdpa-mem-efficient")) else 2
    case = square.case_of(mask, shape, K=K, Kv=K, dtype="bfloat16", device="cuda", Hkv=heads)
    said = lower(recipe.make(case))
    if isinstance(said, Refusal):
        return None
    try:
        out = run(case, said)
    except (
        REFUSALS
    ) as error:  # the library's own; which cases it refuses is no question of this test
        if "CUDA error" in str(error):
            raise
        return None
    wanted = square.oracle(case.edit(device="cpu", Hkv=2))
    found = (out != 0).cpu()[..., : wanted.shape[3]]
    alive = wanted.any(-1, keepdim=True)
    if torch.equal((wanted & alive).expand_as(found), found & alive):
        return ""
    return f"{mask} on {shape} ({said.form})\nwanted\n{wanted.int()}\nfound\n{found[:, :1].int()}"


@pytest.mark.parametrize("name", RUNS)
def test_the_kernel_attends_what_the_mask_says(name: str) -> None:
    """What it does not refuse is right, on every mask and shape, and something is not refused."""
    pytest.importorskip(RUNS[name][2], exc_type=ImportError)
    pairs = [pair for pair in square.combinations() if pair[1] != "packed empty"]
    found = {pair: text for pair in pairs if (text := _wrong(name, *pair)) is not None}
    assert found, "everything was refused"
    wrong = {(name, *pair): text for pair, text in found.items() if text}
    assert set(wrong) == {each for each in KNOWN if each[0] == name}, "\n".join(wrong.values())
