"""What a reference holds: the truth, and error sums that no contract has entered yet."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass(frozen=True)
class Moments:
    """What rounding can do to one quantity, per element, apart from the contract's constants.

    A stored tensor x is rounded with variance `(u^2 x^2 + eta^2) / 3`; the sums here leave out the
    factor `u^2 / 3` (eta enters as eta / u of the case's dtype), so one pass serves every contract.
    Variances are kept as standard deviations in float32 (bfloat16 in large cases), which have the range
    for them.

    Args:
        systematic: Per arithmetic (`numerics.arithmetic.kinds`), the bound on what inner arithmetic
            does.
        squares: Root of the sum of squared terms: the size of the quantity's partial sums.
        fused: Root of the variance when P and dS are rounded before their products, and D is taken
            from the rounded output; set for dq alone, elsewhere `squares` is it. Errors of one row
            are shared by its columns.
        from_stored: The same when dS is made from the stored P and scaled before it is rounded.
        fused_common: The part of it that all rows share (through one query's D).
        unfused: Root of the variance when scaled q, S, P, dP and dS are each stored.
        unfused_common: The part of it that rows share.
        chunked: The same in chunked attention with stored sums, the row sums' own roundings included.
        chunked_common: The part of it that rows share.
        worst: The worst case of rounding P over u; None where there is no such cap.
        rho: Signed error that rounding the exact P would cause: the unnormalised one in out, the
            normalised one in gradients (in dq and dk where dS is made from the stored P).
        rho_normalised: The same for normalised P.
        rho_chunked: The same for what chunked attention stores besides P, whose error it divides out.
        floor: Root of the sum of squares that eta of an unnormalised P enters with; None for no
            such.
        floor_normalised: The same for normalised P.
        heads: Root of the sum over a group's query heads of their squared contributions.
        flush: What flushing to zero can do to any element, a scalar.
    """

    systematic: tuple[Tensor, ...]
    squares: Tensor | None = None
    fused: Tensor | None = None
    from_stored: Tensor | None = None
    fused_common: Tensor | None = None
    unfused: Tensor | None = None
    unfused_common: Tensor | None = None
    chunked: Tensor | None = None
    chunked_common: Tensor | None = None
    worst: Tensor | None = None
    rho: Tensor | None = None
    rho_normalised: Tensor | None = None
    rho_chunked: Tensor | None = None
    floor: Tensor | None = None
    floor_normalised: Tensor | None = None
    heads: Tensor | None = None
    flush: float = 0.0


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
        index: (R,) positions in Tq of the queries that are held when the cotangent is row-sparse:
            out, lse, dq, compared and has_keys then have R in place of Tq. None when all are.
        compared: (Bc, 1, Tq) bool: this query belongs to a sequence.
        has_keys: (Bc, Hq, Tq) bool: compared, and attends at least one key.
        attended: (Bc, Hkv, Tkv) bool: at least one compared query attends this key.
        level: lambda of the case (numerics.arithmetic.confidence).
        moments: By quantity: out, lse, dq, dk, dv, dbias.
        drawn: True when dropout's own choice of pairs went into it.
        remembered: What judges derive from it, kept for the next backend.
    """

    out: Tensor
    lse: Tensor
    dq: Tensor | None
    dk: Tensor | None
    dv: Tensor | None
    dbias: Tensor | None
    index: Tensor | None
    compared: Tensor
    has_keys: Tensor
    attended: Tensor
    level: float
    moments: dict[str, Moments]
    drawn: bool = False
    remembered: dict[object, object] = field(default_factory=dict, repr=False, compare=False)

    @property
    def device(self) -> torch.device:
        """Where it is, and where results are held against it."""
        return self.out.device
