"""Attention of torch itself, called directly: implementations that are known to be right."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

from attnprobe.core.case import Case
from attnprobe.device.alibi import slopes
from attnprobe.device.inputs import Inputs, Outputs

Run = Callable[[Inputs], Outputs]


@dataclass(frozen=True)
class Right:
    """A right implementation.

    Args:
        run: Raises NotImplementedError or RuntimeError for cases it does not do.
        contract: What it is held to, or which contract for a case.
        device: Where it runs: cpu, cuda or any.
        empty_rows: False when it returns NaN for rows without keys by design.
    """

    run: Run
    contract: str | Callable[[Case], str]
    device: str = "any"
    empty_rows: bool = True


def allowed(inputs: Inputs) -> Tensor | None:
    """(B or 1, 1, Mq, Mkv) bool, lengths included; None when everything is allowed."""
    case, device = inputs.case, inputs.q.device
    i = torch.arange(case.Mq, device=device)[:, None]
    j = torch.arange(case.Mkv, device=device)[None]
    if case.lengths is None:
        return None if case.mask.is_none else case.mask.allows(i, j, case.Mq, case.Mkv)[None, None]
    parts = [case.mask.allows(i, j, s.Mq, s.Mkv) & (i < s.Mq) & (j < s.Mkv) for s in case.sequences]
    return torch.stack(parts)[:, None]


def distance(inputs: Inputs) -> Tensor:
    """(B, 1, Mq, Mkv) |i + Mkv - Mq - j| with every sequence's own lengths, as flash-attn has it."""
    case, device = inputs.case, inputs.q.device
    shift = torch.tensor([s.Mkv - s.Mq for s in case.sequences], device=device)
    i = torch.arange(case.Mq, device=device)[:, None]
    j = torch.arange(case.Mkv, device=device)[None]
    return (i - j + shift[:, None, None]).abs()[:, None]


def leaves(inputs: Inputs) -> dict[str, Tensor]:
    """Fresh leaves that want gradients."""
    found = {n: getattr(inputs, n).detach().clone().requires_grad_() for n in "qkv"}
    if inputs.bias is not None:
        found["bias"] = inputs.bias.detach().clone().requires_grad_(inputs.case.wants_bias_grad)
    return found


def finish(inputs: Inputs, x: dict[str, Tensor], out: Tensor, lse: Tensor | None = None) -> Outputs:
    """Backward and everything that a backend returns."""
    if inputs.case.wants_backward:
        out.backward(inputs.dout)
    bias = x["bias"].grad if "bias" in x else None
    return Outputs(out.detach(), lse, x["q"].grad, x["k"].grad, x["v"].grad, bias)


def sdpa(backend: SDPBackend) -> Run:
    """scaled_dot_product_attention on one backend."""

    def run(inputs: Inputs) -> Outputs:
        case, x = inputs.case, leaves(inputs)
        if not (case.score.is_plain or (case.score.softcap is None and not case.score.alibi)):
            raise NotImplementedError("SDPA has no soft cap and no ALiBi")
        mask, causal = allowed(inputs), False
        if case.mask.is_causal and case.mask.align == "top-left" and case.lengths is None:
            mask, causal = None, True
        if "bias" in x:
            if mask is not None:
                raise NotImplementedError("bias and mask")
            mask, causal = x["bias"], False
        with sdpa_kernel(backend):
            out = scaled_dot_product_attention(
                *(x["q"], x["k"], x["v"], mask),
                is_causal=causal,
                scale=case.score.scale,
                enable_gqa=case.groups > 1,
            )
        return finish(inputs, x, out)

    return run


def cpu_flash_lse(inputs: Inputs) -> Outputs:
    """Torch's CPU flash kernel through its operator, which also gives the log-sum-exp; forward only."""
    case = inputs.case
    if (
        case.score.softcap is not None
        or case.score.alibi
        or case.mask.empty_rows(case.Mq, case.Mkv)
    ):
        raise NotImplementedError("LSE 0 in rows without keys is a known deviation")
    mask = allowed(inputs)
    added = None
    if mask is not None:
        zero = torch.zeros(mask.shape, dtype=inputs.q.dtype)
        added = zero.masked_fill(~mask, -math.inf)
    added = inputs.bias if inputs.bias is not None else added
    k, v = (t.repeat_interleave(case.groups, 1) for t in (inputs.k, inputs.v))
    out, lse = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
        inputs.q, k, v, 0.0, False, attn_mask=added, scale=case.score.scale
    )
    lse = lse if lse.shape == out.shape[:3] else lse.transpose(1, 2)
    return Outputs(out, lse)


def flex(inputs: Inputs) -> Outputs:
    """flex_attention, not compiled; forward only (on CPUs it has no backward)."""
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention

    case, keep, block = inputs.case, allowed(inputs), None
    if keep is not None:
        keep = keep.expand(case.B, 1, case.Mq, case.Mkv).contiguous()
        block = create_block_mask(
            lambda b, h, i, j: keep[b, 0, i, j], case.B, None, case.Mq, case.Mkv, inputs.q.device
        )
    cap, bias, alibi = case.score.softcap, inputs.bias, None
    if bias is not None:
        bias = bias.expand(case.B, case.Hq, case.Mq, case.Mkv).contiguous()
    if case.score.alibi:
        alibi, far = slopes(case.Hq).float().to(inputs.q.device), distance(inputs)

    def change(s: Tensor, b: Tensor, h: Tensor, i: Tensor, j: Tensor) -> Tensor:
        if cap is not None:
            s = cap * torch.tanh(s / cap)
        if alibi is not None:
            s = s - alibi[h] * far[b, 0, i, j]
        return s if bias is None else s + bias[b, h, i, j]

    plain = case.score.is_plain
    with torch.no_grad():
        out, lse = flex_attention(
            *(inputs.q, inputs.k, inputs.v),
            score_mod=None if plain else change,
            block_mask=block,
            scale=case.score.scale,
            enable_gqa=case.groups > 1,
            return_lse=True,
        )
    return Outputs(out, lse)


def mha(inputs: Inputs) -> Outputs:
    """nn.MultiheadAttention with weights and identity projections: nothing is fused."""
    case, x = inputs.case, leaves(inputs)
    if case.score.softcap is not None or case.score.alibi or case.score.scale is not None:
        raise NotImplementedError("MultiheadAttention has its own scale")
    E, dtype, device = case.Hq * case.K, inputs.q.dtype, inputs.q.device
    module = torch.nn.MultiheadAttention(
        E, case.Hq, bias=False, batch_first=True, dtype=dtype, device=device
    )
    eye = torch.eye(E, dtype=dtype, device=device)
    with torch.no_grad():
        module.in_proj_weight.copy_(torch.cat([eye] * 3))
        module.out_proj.weight.copy_(eye)
    full = (case.B, case.Hq, case.Mq, case.Mkv)
    mask, keep = None, allowed(inputs)
    if "bias" in x:
        mask = x["bias"].expand(full).reshape(-1, case.Mq, case.Mkv)
    elif keep is not None:
        mask = (~keep).expand(full).reshape(-1, case.Mq, case.Mkv)

    def pack(t: Tensor) -> Tensor:
        t = t if t.shape[1] == case.Hq else t.repeat_interleave(case.groups, 1)
        return t.transpose(1, 2).flatten(2)

    out, _ = module(pack(x["q"]), pack(x["k"]), pack(x["v"]), need_weights=True, attn_mask=mask)
    out = out.view(case.B, case.Mq, case.Hq, case.K).transpose(1, 2)
    return finish(inputs, x, out)


def eager(inputs: Inputs) -> Outputs:
    """softmax(q k^T) v in the inputs' own dtype, as model code writes it."""
    case, x = inputs.case, leaves(inputs)
    k, v = (x[n].repeat_interleave(case.groups, 1) for n in "kv")
    S = (x["q"] @ k.mT) * case.scale
    if case.score.softcap is not None:
        S = torch.tanh(S / case.score.softcap) * case.score.softcap
    if case.score.alibi:
        S = S - slopes(case.Hq).to(S)[:, None, None] * distance(inputs)
    if "bias" in x:
        S = S + x["bias"]
    keep = allowed(inputs)
    if keep is not None:
        S = S.masked_fill(~keep, -math.inf)
    P = torch.softmax(S, -1)
    if keep is not None:
        P = P.masked_fill(~keep.any(-1, keepdim=True), 0.0)
    return finish(inputs, x, P @ v)


def chunks(inputs: Inputs) -> Outputs:
    """memory_efficient_attention of memory-efficient-attention-pytorch: row sums and D are stored."""
    try:
        from memory_efficient_attention_pytorch.memory_efficient_attention import (
            memory_efficient_attention,
        )
    except ImportError as error:
        raise NotImplementedError("not installed") from error
    case, x = inputs.case, leaves(inputs)
    if case.score.softcap is not None or case.score.alibi or case.score.scale is not None:
        raise NotImplementedError("it has a scale of its own, no soft cap and no ALiBi")
    k, v = (x[n].repeat_interleave(case.groups, 1) for n in "kv")
    full = (case.B, case.Hq, case.Mq, case.Mkv)
    bias, keep = None, allowed(inputs)
    causal = case.mask.is_causal and case.mask.align == "top-left" and case.lengths is None
    if "bias" in x:
        if keep is not None:
            raise NotImplementedError("bias and mask")
        bias = x["bias"].expand(full)
    elif keep is not None and not causal:
        low = torch.finfo(x["q"].dtype).min / 2  # in a chunk of -inf alone everything becomes NaN
        bias = torch.zeros(full, dtype=x["q"].dtype, device=keep.device).masked_fill(~keep, low)
    out = memory_efficient_attention(x["q"], k, v, causal=causal, attn_bias=bias)
    return finish(inputs, x, out)


BACKENDS = {
    "sdpa-math": Right(sdpa(SDPBackend.MATH), "fp32-internal"),
    "sdpa-flash-cpu": Right(sdpa(SDPBackend.FLASH_ATTENTION), "cpu_flash", "cpu"),
    "sdpa-flash": Right(sdpa(SDPBackend.FLASH_ATTENTION), "fused_tc", "cuda"),
    "sdpa-mem-efficient": Right(sdpa(SDPBackend.EFFICIENT_ATTENTION), "mem_efficient", "cuda"),
    "sdpa-cudnn": Right(sdpa(SDPBackend.CUDNN_ATTENTION), "mem_efficient", "cuda"),
    "aten-flash-lse": Right(cpu_flash_lse, "cpu_flash", "cpu"),
    "flex-eager": Right(flex, "flex_eager"),
    "mha": Right(mha, "unfused", empty_rows=False),
    "eager": Right(eager, "unfused"),
    "chunks": Right(chunks, "chunked", empty_rows=False),
}


def of(device: str) -> dict[str, Right]:
    """The implementations of a device."""
    return {n: b for n, b in BACKENDS.items() if b.device in ("any", device)}
