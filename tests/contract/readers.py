"""What a library would attend, given the arguments of a lowering; written without attnprobe's masks."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention.flex_attention import BlockMask, create_mask
from torch.nn.functional import scaled_dot_product_attention

from attnprobe.core.case import Case
from attnprobe.device.lowering.base import Lowered


def _everything(case: Case) -> Tensor:
    return torch.ones(case.q_shape[0], 1, case.q_shape[2], case.k_shape[2], dtype=torch.bool)


def tensor(case: Case, said: Lowered) -> Tensor:
    """A boolean mask says it; an additive one forbids with -inf."""
    mask = said.arguments.get("attn_mask")
    if mask is None:
        return _everything(case)
    pairs = mask if mask.dtype is torch.bool else mask > float("-inf")
    return pairs.expand(case.q_shape[0], -1, case.q_shape[2], case.k_shape[2])


def _one_hot(case: Case) -> tuple[Tensor, Tensor, Tensor]:
    """Queries and keys of zeros, and values whose row j is the j-th unit vector."""
    Bc, Hq, Tq, K = case.q_shape
    _, Hkv, Tkv, _ = case.k_shape
    values = torch.eye(Tkv).expand(Bc, Hkv, Tkv, Tkv)
    return torch.zeros(Bc, Hq, Tq, K), torch.zeros(Bc, Hkv, Tkv, K), values


def sdpa(case: Case, said: Lowered) -> Tensor:
    """SDPA run on the CPU: with zero scores a key is attended where its value comes through."""
    return scaled_dot_product_attention(*_one_hot(case), **said.arguments) != 0


def _mask_mod(case: Case, said: Lowered) -> Tensor:
    """`create_mask` on the BlockMask's own mask_mod."""
    blocks = said.arguments.get("block_mask")
    if blocks is None:
        return _everything(case)
    Bc, _, Tq, _ = case.q_shape
    return create_mask(blocks.mask_mod, Bc, 1, Tq, case.k_shape[2], device="cpu")


def flex(case: Case, said: Lowered) -> Tensor:
    """What a kernel reads: full blocks whole, partial blocks through mask_mod, others not at all."""
    pairs = _mask_mod(case, said)
    blocks = said.arguments.get("block_mask")
    if blocks is None:
        return pairs
    seen = torch.zeros_like(pairs)
    for b in range(pairs.shape[0]):
        for numbers, indices, full in (
            (blocks.kv_num_blocks, blocks.kv_indices, False),
            (blocks.full_kv_num_blocks, blocks.full_kv_indices, True),
        ):
            row_batch = min(b, numbers.shape[0] - 1)
            _blocks(
                seen[b, 0], pairs[b, 0], numbers[row_batch, 0], indices[row_batch, 0], blocks, full
            )
    assert torch.equal(seen, pairs), "the blocks and mask_mod say different things"
    return seen


def _blocks(
    seen: Tensor, pairs: Tensor, numbers: Tensor, indices: Tensor, blocks: BlockMask, full: bool
) -> None:
    height, width = blocks.BLOCK_SIZE
    for row in range(numbers.shape[0]):
        for column in indices[row, : numbers[row]].tolist():
            at = (
                slice(row * height, (row + 1) * height),
                slice(column * width, (column + 1) * width),
            )
            seen[at] = True if full else pairs[at]


def xformers(case: Case, said: Lowered) -> Tensor:
    """`AttentionBias.materialize`, whose masks are 0 and -inf; a tail belongs to no block."""
    bias = said.arguments.get("attn_bias")
    if bias is None:
        return _everything(case)
    Bc, Hq, Tq, _ = case.q_shape
    Tkv = case.k_shape[2]
    if isinstance(bias, Tensor):
        assert bias.shape == (Bc, Hq, Tq, Tkv)  # xFormers does not broadcast
        assert all(s % 4 == 0 for s in bias.stride()[:-1])  # 128-bit loads of float32
        return bias > float("-inf")
    tail = case.lengths.tail if case.lengths else 0
    pairs = bias.materialize((Bc, 1, Tq - tail, Tkv - (tail if case.storage == "packed" else 0)))
    full = torch.zeros_like(_everything(case))
    full[..., : pairs.shape[-2], : pairs.shape[-1]] = pairs > float("-inf")
    return full


def _by_starts(
    case: Case,
    starts: tuple[Tensor, Tensor],
    used: Tensor | None,
    keeps: Callable[[int, int, int, int], bool],
) -> Tensor:
    """Sequences between consecutive starts; `keeps(i, j, Mq, Mkv)` within each."""
    q, kv = starts[0].tolist(), starts[1].tolist()
    Bc, _, Tq, _ = case.q_shape
    rows, columns = Bc * Tq, Bc * case.k_shape[2]
    flat = torch.zeros(rows, columns, dtype=torch.bool)
    for n in range(len(q) - 1):
        Mq, Mkv = q[n + 1] - q[n], kv[n + 1] - kv[n]
        if used is not None:
            Mkv = int(used[n])
        for i in range(Mq):
            for j in range(Mkv):
                flat[q[n] + i, kv[n] + j] = keeps(i, j, Mq, Mkv)
    whole = flat.view(Bc, Tq, Bc, case.k_shape[2])
    across = [whole[a, :, b].any() for a in range(Bc) for b in range(Bc) if a != b]
    assert not any(across), "a sequence attends another one's batch row"
    return torch.stack([whole[b, :, b] for b in range(Bc)]).unsqueeze(1)


def _window(left: int | None, right: int | None, i: int, j: int, Mq: int, Mkv: int) -> bool:
    """flash-attn's docstring: keys in [i + Mkv - Mq - left, i + Mkv - Mq + right]; -1 and None: all."""
    middle = i + Mkv - Mq
    after_first = left in (None, -1) or j >= middle - left
    return after_first and (right in (None, -1) or j <= middle + right)


def flash(case: Case, said: Lowered) -> Tensor:
    """flash_attn_func's docstring, word by word."""
    arguments = said.arguments
    left, right = arguments.get("window_size", (-1, -1))
    assert all(side is None or side >= -1 for side in (left, right))
    if arguments.get("causal"):
        right = 0

    def keeps(i: int, j: int, Mq: int, Mkv: int) -> bool:
        return _window(left, right, i, j, Mq, Mkv)

    if "cu_seqlens_q" in arguments:
        starts = (arguments["cu_seqlens_q"], arguments["cu_seqlens_k"])
        assert all(t.dtype is torch.int32 for t in starts)
        return _by_starts(case, starts, arguments.get("seqused_k"), keeps)
    pairs = [[keeps(i, j, case.Mq, case.Mkv) for j in range(case.Mkv)] for i in range(case.Mq)]
    return torch.tensor(pairs).expand(case.B, 1, case.Mq, case.Mkv)


def varlen(case: Case, said: Lowered) -> Tensor:
    """varlen_attn's docstring; bottom-right because it hands the window to flash-attn's kernel."""
    arguments = said.arguments
    causal = arguments.get("is_causal", False)
    left, right = arguments.get("window_size", (-1, 0) if causal else (-1, -1))
    assert left >= -1
    assert right >= -1
    starts = (arguments["cu_seq_q"], arguments["cu_seq_k"])
    used = arguments.get("seqused_k")
    lengths = (
        arguments["cu_seq_q"].diff(),
        used if used is not None else arguments["cu_seq_k"].diff(),
    )
    assert (arguments["max_q"], arguments["max_k"]) == tuple(int(n.max()) for n in lengths)
    return _by_starts(case, starts, used, functools.partial(_window, left, right))


def varlen_2_10(
    query: Any, key: Any, value: Any, cu_seq_q: Any, cu_seq_k: Any, max_q: int, max_k: int,
    is_causal: bool = False, return_aux: Any = None,
) -> None:  # fmt: skip
    """The signature of torch 2.10 (torch@2.10.0:torch/nn/attention/varlen.py)."""


def njt(case: Case, said: Lowered) -> Tensor:
    """Nested SDPA run on the CPU sequence by sequence; causal, which needs CUDA, by SDPA's docstring."""
    arguments = dict(said.arguments)
    starts = (arguments.pop("offsets_q"), arguments.pop("offsets_kv"))
    longest = (arguments.pop("max_q"), arguments.pop("max_kv"))
    if arguments.pop("is_causal", False):
        return _by_starts(case, starts, None, lambda i, j, Mq, Mkv: j <= i)
    q, k, v = (t.transpose(1, 2).flatten(0, 1).contiguous() for t in _one_hot(case))
    k, v = (t.repeat_interleave(case.groups, 1) for t in (k, v))  # the math path has no GQA
    arguments.pop("enable_gqa", None)
    if 0 in starts[0].diff().tolist():
        return _by_starts(
            case, starts, None, lambda i, j, Mq, Mkv: True
        )  # nested SDPA refuses these
    jagged = torch.nested.nested_tensor_from_jagged
    keys = {"offsets": starts[1], "max_seqlen": longest[1]}
    queries = {"offsets": starts[0], "max_seqlen": longest[0]}
    jagged = torch.nested.nested_tensor_from_jagged
    nested = [jagged(t, **at).transpose(1, 2) for t, at in ((q, queries), (k, keys), (v, keys))]
    out = scaled_dot_product_attention(*nested, **arguments).transpose(1, 2).values()
    return _columns_by_row(case, out)


def _columns_by_row(case: Case, out: Tensor) -> Tensor:
    """(Bc * Tq, H, Tkv) one-hot output to (Bc, H, Tq, Tkv) pairs."""
    Bc, Hq, Tq, _ = case.q_shape
    return (out.view(Bc, Tq, Hq, case.k_shape[2]) != 0).transpose(1, 2)


def mha(case: Case, said: Lowered) -> Tensor:
    """nn.MultiheadAttention with projections that pass values through; with and without weights."""
    Bc, Hq, Tq, _ = case.q_shape
    Tkv = case.k_shape[2]
    width = Hq * Tkv
    module = nn.MultiheadAttention(width, Hq, bias=False, batch_first=True)
    with torch.no_grad():
        module.in_proj_weight.zero_()[2 * width :] = torch.eye(width)
        module.out_proj.weight.copy_(torch.eye(width))
    q, k = torch.zeros(Bc, Tq, width), torch.zeros(Bc, Tkv, width)
    values = torch.eye(Tkv).repeat(1, Hq).expand(Bc, Tkv, width)
    out, _ = module(q, k, values, need_weights=False, **said.arguments)
    weighted, _ = module(q, k, values, need_weights=True, **said.arguments)
    found = out.view(Bc, Tq, Hq, Tkv).transpose(1, 2) != 0
    other = weighted.nan_to_num(0).view(Bc, Tq, Hq, Tkv).transpose(1, 2) != 0
    assert torch.equal(found, other), "the fused and the plain path attend different keys"
    return found


def _lucidrains(function: Callable[..., Tensor], case: Case, said: Lowered, **more: int) -> Tensor:
    return function(*_one_hot(case), **said.arguments, **more) != 0


def lucidrains(case: Case, said: Lowered) -> Tensor:
    """`memory_efficient_attention` run on the CPU in buckets smaller than the case."""
    from memory_efficient_attention_pytorch.memory_efficient_attention import (
        memory_efficient_attention,
    )

    buckets = {"q_bucket_size": 2, "k_bucket_size": 3}
    return _lucidrains(memory_efficient_attention, case, said, **buckets)


def lucidrains_whole(case: Case, said: Lowered) -> Tensor:
    """`attention`, the plain function beside it, whose causal mask is aligned bottom-right."""
    from memory_efficient_attention_pytorch.memory_efficient_attention import attention

    return _lucidrains(attention, case, said)
