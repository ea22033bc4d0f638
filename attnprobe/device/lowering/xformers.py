"""The `attn_bias` of `xformers.ops.memory_efficient_attention`: a mask class, or a float tensor.

A window of W keys counts the diagonal here: our left=3 is `window_size=4`. Key and value heads are
taken as expanded to Hq; the tensors are BMHK, packed ones (1, T, H, K).
Source: xformers@0.0.35:xformers/ops/fmha/attn_bias.py and common.py.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal

import torch
from torch import Tensor

from attnprobe.core.case import Case
from attnprobe.device.inputs import Inputs
from attnprobe.device.lowering import dense
from attnprobe.device.lowering.band import Band, bottom_right
from attnprobe.device.lowering.base import Lowered, Refusal, lacks

MODULES = ("xformers.ops.fmha.attn_bias", "mslk.attention.fmha.attn_bias")
ALIGNMENT = 8  # elements: 128-bit loads of 2-byte numbers; covers 4-byte ones (cutlass.py)
Keys = Literal["padded", "gappy", "paged", "paged-gappy"]


@dataclass(frozen=True)
class Choice:
    """An AttentionBias class by name, and how to make one; without a name no mask is needed."""

    name: str
    build: Callable[[Any], object]


NO_MASK = Choice("", lambda cls: None)


def bias_module() -> ModuleType | tuple[str, ...]:
    """The module that defines the mask classes, or why each place for it cannot be imported.

    Releases after 0.0.35 take the classes from the package mslk (xformers@ca6d2aa).
    """
    failures = []
    for name in MODULES:
        try:
            return importlib.import_module(name)
        except (ImportError, OSError, RuntimeError, AttributeError) as error:
            failures.append(f"{name}: {type(error).__name__}: {error}")
    return tuple(failures)


def lower(inputs: Inputs, keys: Keys = "padded", page_size: int = 16) -> Lowered | Refusal:
    """`attn_bias`, and `scale` and `p` where they differ from the defaults.

    Args:
        inputs: The case and its tensors.
        keys: How keys in slots (storage packed-padded-keys) are said: PaddedKeys, GappyKeys, or the
            paged twin of either with pages in order.
        page_size: Tokens per page; only for the paged ones.
    """
    case, module = inputs.case, bias_module()
    reasons = lacks(case, "xFormers", "softcap")
    if case.mask_form == "dense-bool":
        reasons.append("mask_form=dense-bool: xFormers takes mask tensors in floating point only")
    if case.storage != "padded":
        reasons += lacks(case, "an xFormers block-diagonal mask", "bias", "alibi", "dense masks")
    if isinstance(module, tuple):
        return Refusal((*reasons, *module))
    chosen = _choose(inputs, module, keys, page_size)
    if isinstance(chosen, str):
        reasons.append(chosen)
    elif chosen not in (None, NO_MASK) and not hasattr(module, chosen.name):
        reasons.append(f"{module.__name__} has no class {chosen.name}")
    if reasons or isinstance(chosen, str):
        return Refusal(tuple(reasons))
    said = _common(case)
    if chosen is None:
        return _dense(inputs, said)
    if not chosen.name:
        return Lowered(said)
    said["attn_bias"] = chosen.build(getattr(module, chosen.name))
    return Lowered(said, chosen.name)


def _choose(inputs: Inputs, module: ModuleType, keys: Keys, page_size: int) -> Choice | str | None:
    """The class that says the mask, why there is none, or None where a tensor must say it."""
    case, device = inputs.case, inputs.q.device
    match case.storage:
        case "padded":
            return _padded(inputs)
        case "packed":
            return _packed(case, device, module)
        case "packed-padded-keys":
            return _in_slots(case, device, keys, page_size, module)


def _common(case: Case) -> dict[str, Any]:
    said: dict[str, Any] = {"p": case.dropout_p} if case.dropout_p else {}
    return said if case.score.scale is None else said | {"scale": case.score.scale}


def _padded(inputs: Inputs) -> Choice | None:
    """(B, M, H, K): a class where there is one; None asks for a tensor."""
    case = inputs.case
    mask, bias = case.mask, inputs.bias
    causal = mask.is_causal and (mask.align == "top-left" or case.Mq == case.Mkv)
    if case.lengths is not None or case.mask_form != "best":
        return None
    if case.score.is_plain:
        if causal:
            return Choice("LowerTriangularMask", lambda cls: cls())
        band = bottom_right(case)
        return _band(case, band) if isinstance(band, Band) else None
    if causal and bias is not None and not case.score.alibi and not case.wants_backward:
        # No backward operator takes this class (xformers@0.0.35: fmha/cutlass.py, fmha/flash.py).
        name = "LowerTriangularMaskWithTensorBias"
        return Choice(name, lambda cls: cls(aligned(case, bias.detach())))
    return None


def _dense(inputs: Inputs, said: dict[str, Any]) -> Lowered | Refusal:
    added = dense.additive(inputs)
    if added.dtype != inputs.q.dtype and inputs.case.score.alibi:
        return Refusal(
            (
                f"xFormers wants a bias in the queries' dtype, and {inputs.case.dtype} cannot hold "
                "the distances of this ALiBi exactly",
            )
        )
    tensor = aligned(inputs.case, added)
    return Lowered(said | {"attn_bias": tensor}, dense.text(tensor), dense.nbytes(tensor))


def aligned(case: Case, added: Tensor) -> Tensor:
    """The tensor expanded to (B, Hq, Mq, Mkv) over rows whose stride is a multiple of `ALIGNMENT`.

    xFormers neither broadcasts a bias nor pads it (`_check_bias_alignment` in cutlass.py).
    """
    width = -(-case.Mkv // ALIGNMENT) * ALIGNMENT
    memory = added.new_zeros(*added.shape[:2], case.Mq, width)
    memory[..., : case.Mkv] = added
    return memory[..., : case.Mkv].expand(case.B, case.Hq, case.Mq, case.Mkv)


def _band(case: Case, band: Band) -> Choice:
    """Bottom-right bands of full (B, M) tensors; a side that is unbounded reaches every token."""
    left, right = band.left, band.right
    if left is None and right is None:
        return NO_MASK
    if left is None and right == 0:
        return Choice("LowerTriangularFromBottomRightMask", lambda cls: cls())
    if left is not None and right == 0:
        name = "LowerTriangularFromBottomRightLocalAttentionMask"
        return Choice(name, lambda cls: cls(left + 1))
    sides = {
        "window_left": case.Mkv if left is None else left,
        "window_right": case.Mq if right is None else right,
    }
    return Choice("LocalAttentionFromBottomRightMask", lambda cls: cls(**sides))


def _packed(case: Case, device: torch.device, module: ModuleType) -> Choice | str:
    """(1, T, H, K) with the sequences one behind the other."""
    mask, sequences = case.mask, case.sequences
    lengths = ([s.Mq for s in sequences], [s.Mkv for s in sequences])

    def block_diagonal(window: int | None = None) -> Callable[[Any], object]:
        def build(cls: Any) -> object:
            plain = module.BlockDiagonalMask.from_seqlens(*lengths, device=device)
            more = {} if window is None else {"_window_size": window}
            return cls(q_seqinfo=plain.q_seqinfo, k_seqinfo=plain.k_seqinfo, **more)

        return build

    if mask.is_none:
        return Choice("BlockDiagonalMask", block_diagonal())
    if not mask.is_band or mask.right != 0 or (mask.left is not None and mask.left < 0):
        return (
            f"xFormers' block-diagonal masks are plain, causal or causal windows, not {mask.text}"
        )
    square = all(s.Mq == s.Mkv for s in sequences)
    at_end = mask.align == "bottom-right" and not square
    short = [s.index for s in sequences if s.Mkv < s.Mq]
    if at_end and short:
        return f"xFormers' bottom-right masks need Mkv >= Mq in every sequence, not so in {short}"
    suffix = "FromBottomRightMask" if at_end else "Mask"
    if mask.left is None:
        return Choice(f"BlockDiagonalCausal{suffix}", block_diagonal())
    window = mask.left + 1
    blind = [s.index for s in sequences if s.Mq - window >= s.Mkv]
    if blind:
        return (
            f"xFormers refuses a window ({window}) that holds no key for a query: sequences {blind}"
        )
    return Choice(f"BlockDiagonalCausalLocalAttention{suffix}", block_diagonal(window))


def _in_slots(
    case: Case, device: torch.device, keys: Keys, page_size: int, module: ModuleType
) -> Choice | str:
    """Queries packed, keys in slots of Mkv."""
    band = bottom_right(case)
    if isinstance(band, str):
        return band
    q, kv = [s.Mq for s in case.sequences], [s.Mkv for s in case.sequences]
    causal = band.left is None and band.right == 0
    if keys == "padded" and not (band.is_full or causal):
        return _window_in_slots(case, band, q, kv, device)
    if not (band.is_full or causal):
        return (
            f"xFormers' {keys} keys are plain or causal from the bottom right, not {case.mask.text}"
        )
    kind = "BlockDiagonalCausalWithOffset" if causal else "BlockDiagonal"
    if keys == "padded":
        return Choice(
            f"{kind}PaddedKeysMask", lambda cls: cls.from_seqlens(q, case.Mkv, kv, device=device)
        )
    starts = [b * case.Mkv for b in range(case.B + 1)]
    if keys == "gappy":
        return Choice(
            f"{kind}GappyKeysMask", lambda cls: cls.from_seqlens(q, starts, kv, device=device)
        )
    if case.Mkv % page_size:
        return f"slots of Mkv={case.Mkv} are not a whole number of pages of {page_size}"
    pages = case.Mkv // page_size
    table = torch.arange(case.B * pages, dtype=torch.int32, device=device).view(case.B, pages)
    if keys == "paged":
        return Choice(
            f"Paged{kind}PaddedKeysMask",
            lambda cls: cls.from_seqlens(q, kv, table, page_size, device=device),
        )
    gappy = getattr(module, "BlockDiagonalGappyKeysMask", None)
    if gappy is None:
        return f"{module.__name__} has no class BlockDiagonalGappyKeysMask"
    # `from_seqlens` of the paged class always raises: it asks for as many starts as lengths and hands
    # them on to a function that asks for one more (xformers@0.0.35, attn_bias.py).
    return Choice(
        f"Paged{kind}GappyKeysMask",
        lambda cls: gappy.from_seqlens(q, starts, kv, device=device).make_paged(
            table, page_size, case.Mkv, cls
        ),
    )


def _window_in_slots(
    case: Case, band: Band, q: list[int], kv: list[int], device: torch.device
) -> Choice:
    """`from_seqlens_local` has no `device`, hence the move."""
    left, right = band.left, band.right
    if left is not None and right == 0:
        return Choice(
            "BlockDiagonalCausalLocalAttentionPaddedKeysMask",
            lambda cls: cls.from_seqlens_local(q, case.Mkv, kv, left + 1).to(device),
        )
    sides = (case.Mkv if left is None else left, case.Mq if right is None else right)
    return Choice(
        "BlockDiagonalLocalAttentionPaddedKeysMask",
        lambda cls: cls.from_seqlens_local(q, case.Mkv, kv, *sides).to(device),
    )
