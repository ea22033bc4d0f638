"""`nn.MultiheadAttention` in all its ways, and the fast path of `nn.TransformerEncoderLayer`.

In training, and whenever weights are wanted, the layer calls `F.multi_head_attention_forward`; in eval
without gradients it may call one native operator, and so may a whole encoder layer
(torch@2.13:torch/nn/modules/activation.py and transformer.py).
"""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING, Any

from attnprobe.capture.seen import Arguments, Looked, Seen, number
from attnprobe.core.capture import CapturedMask

if TYPE_CHECKING:
    from attnprobe.capture.watch import Watch

MODULES = ("torch.nn.functional", "torch")

_FORWARD = (
    *("query", "key", "value", "embed_dim_to_check", "num_heads", "in_proj_weight"),
    *("in_proj_bias", "bias_k", "bias_v", "add_zero_attn", "dropout_p", "out_proj_weight"),
    *("out_proj_bias", "training", "key_padding_mask", "need_weights", "attn_mask"),
    *("use_separate_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight"),
    *("static_k", "static_v", "average_attn_weights", "is_causal"),
)
_NATIVE = (
    *("query", "key", "value", "embed_dim", "num_head", "qkv_weight", "qkv_bias"),
    *("proj_weight", "proj_bias", "mask", "need_weights", "average_attn_weights", "mask_type"),
)
_LAYER = (
    *("src", "embed_dim", "num_heads", "qkv_weight", "qkv_bias", "proj_weight", "proj_bias"),
    *("use_gelu", "norm_first", "eps", "norm_weight_1", "norm_bias_1", "norm_weight_2"),
    *("norm_bias_2", "ffn_weight_1", "ffn_bias_1", "ffn_weight_2", "ffn_bias_2", "mask"),
    "mask_type",
)


def install(module: ModuleType, watch: Watch) -> None:
    """What the layers call; the layers themselves stay as they are."""
    if module.__name__ == "torch":
        watch.function(module, "_native_multi_head_attention", "mha-fast-path", read_native)
        watch.function(module, "_transformer_encoder_layer_fwd", "encoder-fast-path", read_layer)
    else:
        watch.function(module, "multi_head_attention_forward", "mha", read_forward)


def read_forward(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Seen:
    """Tokens before the batch, whatever the layer's `batch_first`."""
    given = Arguments(_FORWARD, {"training": True, "need_weights": True}, args, kwargs)
    heads = int(given["num_heads"])
    masks = (given["attn_mask"], given["key_padding_mask"])
    return Seen(
        given["query"],
        given["key"],
        given["value"],
        layout="MBD",
        heads=(heads, heads),
        mask=masks[1] if masks[0] is None else masks[0],
        dropout_p=(number(given["dropout_p"]) or 0.0) if given["training"] else 0.0,
        is_causal=bool(given["is_causal"]),
        look=lambda seen: _together(seen, *masks) if any(m is not None for m in masks) else None,
        said=("need_weights",) if given["need_weights"] else (),
    )


def read_native(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Seen:
    """One operator for projections and attention; its mask forbids where it is True."""
    given = Arguments(_NATIVE, {"need_weights": True}, args, kwargs)
    heads, mask, kind = int(given["num_head"]), given["mask"], given["mask_type"]
    return Seen(
        given["query"],
        given["key"],
        given["value"],
        layout="BMD",
        heads=(heads, heads),
        mask=mask,
        look=(lambda seen: _by_type(seen, kind)) if mask is not None else None,
        said=("need_weights",) if given["need_weights"] else (),
    )


def read_layer(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Seen:
    """One operator for the whole layer; padding arrives as a nested tensor."""
    given = Arguments(_LAYER, {}, args, kwargs)
    source, heads, mask, kind = (
        given["src"],
        int(given["num_heads"]),
        given["mask"],
        given["mask_type"],
    )
    return Seen(
        source,
        source,
        source,
        layout="BMD",
        heads=(heads, heads),
        mask=mask,
        look=(lambda seen: _by_type(seen, kind)) if mask is not None else None,
    )


def _by_type(seen: Seen, kind: int | None) -> Looked:
    """What `mask_type` says the mask's dims are: 0 (M, N), 1 (B, N), 2 all four."""
    if kind == 1:
        return _together(seen, None, seen.mask)
    return _together(seen, seen.mask, None)


def _together(seen: Seen, attention: Any, padding: Any) -> Looked:
    """Both masks of the layer as one, in the form that attention functions take.

    A boolean one forbids where it is True, a float one is added; `attn_mask` is (M, N) or (B * H, M, N),
    `key_padding_mask` (B, N).
    """
    import torch

    from attnprobe.capture.facts import dtype_name
    from attnprobe.capture.later import may_compute, quietly
    from attnprobe.capture.look import NOTICED, recognised

    given = [mask for mask in (attention, padding) if mask is not None]
    if not all(may_compute(mask) for mask in given):
        return CapturedMask("unknown", dtype_name(given[0].dtype), note=NOTICED)
    with quietly(given[0].device.type):
        parts = []
        if attention is not None:
            per_head = attention.dim() == 3
            parts.append(attention.unflatten(0, (-1, seen.heads[0])) if per_head else attention)
        if padding is not None:
            parts.append(padding[:, None, None, :] if padding.dim() == 2 else padding[None, :])
        if all(part.dtype == torch.bool for part in parts):
            whole = parts[0] if len(parts) == 1 else parts[0] | parts[1]
            return recognised(~whole, seen.Mq, seen.Mkv)
        added = [
            torch.zeros(part.shape, device=part.device).masked_fill(part, float("-inf"))
            if part.dtype == torch.bool
            else part
            for part in parts
        ]
        return recognised(sum(added[1:], added[0]), seen.Mq, seen.Mkv)
