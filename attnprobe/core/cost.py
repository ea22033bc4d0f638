"""What a case must cost whoever computes it: pairs, operations, bytes moved and bytes held.

Plain integers, no torch: the host refuses a case that cannot fit before anything is launched, the
child divides by the same numbers after it ran.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from attnprobe.core.case import ELEMENT_BYTES, Case, Pass
from attnprobe.core.mask import Mask

FLOPS_TEXT = (
    "A = attended (query, key) pairs over all sequences and query heads; "
    "forward 2A(K + Kv), backward 2A(3K + 2Kv): the five products S, dP, dV, dQ, dK, "
    "S being recomputed; a multiply-add counts as 2, softmax and mask as nothing; a layer adds, per "
    "real token and weight matrix, 2 x in x out forward and twice that backward"
)
"""The formula of `flops` in words, for reports (Dao et al., arXiv:2205.14135, appendix B, without the
usual halving for causal masks: pairs are counted exactly)."""

_LSE_BYTES = 4  # log-sum-exp is float32 in every library of this field
_REFERENCE_TILE_BYTES = (
    2**30
)  # the float64 reference is tiled; this bounds its tiles, not its tensors
_SCORE_MATRICES = {"fwd": 3, "bwd": 4, "fwd+bwd": 4}
"""Float32 score matrices alive at once in an unfused implementation. Backward: 1,048 MiB over the
inputs of torch 2.11's math backend at B2 H8 M2048 K64 on an H200 are 4 matrices of 256 MiB and 24 MiB
of outputs and gradients. Forward: scores, their masked copy, probabilities."""

Indices = Callable[[int, int], Any]


def pairs(mask: Mask, Mq: int, Mkv: int, indices: Indices | None = None) -> int:
    """Exactly how many (query, key) pairs of one sequence attend.

    A band has a closed form. Predicates are counted by asking `Mask.allows`: O(Mq * Mkv), so pass
    `indices` for more than a few hundred tokens.

    Args:
        mask: Which pairs attend.
        Mq: Queries of the sequence.
        Mkv: Keys of the sequence.
        indices: Makes the integer vector of [start, stop), such as `torch.arange`; None counts with
            Python integers.
    """
    if mask.is_band:
        shift = mask.shift(Mq, Mkv)
        upper = Mq * Mkv if mask.right is None else _below(shift + mask.right + 1, Mq, Mkv)
        lower = 0 if mask.left is None else _below(shift - mask.left, Mq, Mkv)
        return upper - lower
    if indices is None:
        return sum(bool(mask.allows(i, j, Mq, Mkv)) for i in range(Mq) for j in range(Mkv))
    if not Mq or not Mkv:
        return 0
    keys, rows = indices(0, Mkv), max(1, 2**22 // Mkv)
    return sum(
        int(mask.allows(indices(i, min(i + rows, Mq))[:, None], keys, Mq, Mkv).sum())
        for i in range(0, Mq, rows)
    )


def _below(offset: int, Mq: int, Mkv: int) -> int:
    """Pairs with j < i + offset: the sum of i + offset, clamped to 0..Mkv, over the queries i."""

    def clamped_sum(stop: int) -> int:  # of clamp(t, 0, Mkv) for all t < stop
        ramp = min(max(stop, 0), Mkv + 1)
        return ramp * (ramp - 1) // 2 + max(stop - Mkv - 1, 0) * Mkv

    return clamped_sum(Mq + offset) - clamped_sum(offset)


def attended_pairs(case: Case, indices: Indices | None = None) -> int:
    """Pairs that attend over all sequences and query heads; padding and tails count as nothing."""
    counts: dict[tuple[int, int], int] = {}
    for s in case.sequences:
        if (s.Mq, s.Mkv) not in counts:
            counts[s.Mq, s.Mkv] = pairs(case.mask, s.Mq, s.Mkv, indices)
    return case.Hq * sum(counts[s.Mq, s.Mkv] for s in case.sequences)


def flops(case: Case, passes: Pass, attended: int | None = None) -> int:
    """Floating-point operations of the attended pairs; the formula is `FLOPS_TEXT`.

    Args:
        case: The attention call.
        passes: Which part of it.
        attended: `attended_pairs(case)`, where it has been counted already.
    """
    fwd = 2 * (case.K + case.Kv)
    bwd = 2 * (3 * case.K + 2 * case.Kv)
    per_pair = {"fwd": fwd, "bwd": bwd, "fwd+bwd": fwd + bwd}[passes]
    return (attended_pairs(case) if attended is None else attended) * per_pair


def bytes_min(case: Case, passes: Pass) -> int:
    """Bytes that must cross the memory bus at least once, caches empty.

    Forward reads q, k, v and a bias and writes the output (and the log-sum-exp when a backward will
    want it); backward reads all of these and dout, and writes the gradients that are asked for. Real
    tokens only, and of the keys only those within the mask's band, which is what makes a window
    cheap to decode; predicates are not looked into.
    """
    e = ELEMENT_BYTES[case.dtype]
    tokens = sum(s.Mq for s in case.sequences)
    keys = sum(_keys_in_band(case.mask, s.Mq, s.Mkv) for s in case.sequences)
    q, k = tokens * case.Hq * case.K * e, keys * case.Hkv * case.K * e
    v, out = keys * case.Hkv * case.Kv * e, tokens * case.Hq * case.Kv * e
    bias = _bias_bytes(case)
    lse = tokens * case.Hq * _LSE_BYTES if case.wants_backward else 0
    grads = sum({"q": q, "k": k, "v": v}[name] for name in case.grads)
    fwd = q + k + v + bias + out + lse
    bwd = q + k + v + bias + 2 * out + lse + grads + (bias if case.wants_bias_grad else 0)
    return {"fwd": fwd, "bwd": bwd, "fwd+bwd": fwd + bwd}[passes]


@dataclass(frozen=True)
class Demand:
    """What must be computed, moved and held for a result, whoever computes it.

    Args:
        flops: Floating-point operations, by pass.
        bytes_min: Bytes that must cross the memory bus, by pass.
        floor_bytes: Bytes over the inputs that are held at the end of the longest pass.
    """

    flops: Mapping[Pass, int]
    bytes_min: Mapping[Pass, int]
    floor_bytes: int


def demand(case: Case, indices: Indices | None = None) -> Demand:
    """The demand of an attention call.

    Args:
        case: The attention call.
        indices: See `pairs`.
    """
    attended = attended_pairs(case, indices)
    return Demand(
        flops={each: flops(case, each, attended) for each in get_args(Pass)},
        bytes_min={each: bytes_min(case, each) for each in get_args(Pass)},
        floor_bytes=floor_bytes(case),
    )


def _keys_in_band(mask: Mask, Mq: int, Mkv: int) -> int:
    shift = mask.shift(Mq, Mkv)
    first = 0 if mask.left is None else max(0, shift - mask.left)
    last = Mkv if mask.right is None else min(Mkv, shift + Mq + mask.right)
    return max(0, last - first) if Mq else 0


def _bias_bytes(case: Case) -> int:
    if case.score.bias is None or case.bias_shape is None:
        return 0
    return math.prod(case.bias_shape) * ELEMENT_BYTES[case.score.bias.dtype or case.dtype]


def input_bytes(case: Case) -> int:
    """Bytes of q, k, v, the bias and, where a backward runs, the gradient of the output."""
    dout = math.prod(case.out_shape) if case.wants_backward else 0
    elements = sum(map(math.prod, (case.q_shape, case.k_shape, case.v_shape))) + dout
    return elements * ELEMENT_BYTES[case.dtype] + _bias_bytes(case)


def floor_bytes(case: Case) -> int:
    """Bytes over the inputs that any implementation holds at the end.

    The output, and for a backward the log-sum-exp and the gradients that are asked for.
    """
    out = math.prod(case.out_shape) * ELEMENT_BYTES[case.dtype]
    if not case.wants_backward:
        return out
    shapes = {"q": case.q_shape, "k": case.k_shape, "v": case.v_shape}
    grads = sum(math.prod(shapes[name]) for name in case.grads) * ELEMENT_BYTES[case.dtype]
    lse = math.prod(case.out_shape[:3]) * _LSE_BYTES
    return out + grads + lse + (_bias_bytes(case) if case.wants_bias_grad else 0)


def score_bytes(case: Case) -> int:
    """Bytes of one float32 score matrix over the stored rows: what a fused kernel never allocates."""
    return math.prod(case.q_shape[:3]) * case.k_shape[2] * 4


def estimate_bytes(case: Case, materialises: bool) -> int:
    """What checking and timing the case is expected to take; more than is free means: do not launch.

    Inputs, outputs and gradients, a dense mask, the float64 reference (its tensors, their error
    bounds and its tiles) and, for a backend that materialises them, the score matrices. An estimate
    from above: a mask is counted as dense in the case's dtype whenever there is one.

    Args:
        case: The attention call.
        materialises: True for a backend that computes the score matrix (eager, math).
    """
    reference = 2 * 8 * (input_bytes(case) + floor_bytes(case)) // ELEMENT_BYTES[case.dtype]
    dense_scores = math.prod(case.q_shape[:3]) * case.k_shape[2] * 8
    tiles = min(_REFERENCE_TILE_BYTES, _SCORE_MATRICES["bwd"] * dense_scores)
    scores = _SCORE_MATRICES[case.passes] * score_bytes(case) if materialises else 0
    masked = not case.mask.is_none or case.lengths is not None
    mask_rows = case.q_shape[2] * (case.q_shape[0] if case.lengths else 1)
    mask = mask_rows * case.k_shape[2] * ELEMENT_BYTES[case.dtype] if masked else 0
    return input_bytes(case) + floor_bytes(case) + reference + tiles + scores + mask
