"""What a reference holds."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Reference:
    """Attention of one case in float64, canonical shapes, on the device of the inputs.

    Args:
        out: (Bc, Hq, Tq, Kv); 0 for rows without keys.
        lse: (Bc, Hq, Tq), natural log; -inf for rows without keys.
        dq: (Bc, Hq, Tq, K); None for the gradients that the case does not ask for.
        dk: (Bc, Hkv, Tkv, K).
        dv: (Bc, Hkv, Tkv, Kv).
        dbias: `case.bias_shape`.
        rows: The queries whose cotangent is not zero, when it is row-sparse; None for all.
        has_keys: (Bc, Hq, Tq) bool: this query attends at least one key.
        in_sequence: (Bc, 1, Tq) bool: this query belongs to a sequence (not padding, not the tail).
        attended: (Bc, Hkv, Tkv) bool: at least one query attends this key.
    """

    out: Tensor
    lse: Tensor
    dq: Tensor | None
    dk: Tensor | None
    dv: Tensor | None
    dbias: Tensor | None
    rows: Tensor | None
    has_keys: Tensor
    in_sequence: Tensor
    attended: Tensor
