"""Moments and a contract make a bound: how far a right backend's tensor may lie from the reference."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from attnprobe.core.case import Case
from attnprobe.device.numerics import arithmetic
from attnprobe.device.numerics.contracts import Contract
from attnprobe.device.reference import Reference
from attnprobe.device.reference.record import Moments


@dataclass(frozen=True)
class Bound:
    """The error budget of one quantity, float64, four dimensions (b, h, row, column).

    Args:
        truth: The reference.
        hard: Rounding of the output itself: always within.
        systematic: What inner arithmetic may do, worst case or with probability 1 - ALPHA.
        single: Variance of errors that elements have on their own.
        row: Variance of errors that the columns of a row share.
        common: Variance of errors that rows share.
        row_uncapped: The part of `row` that `worst` does not cap.
        worst: Cap on the rest of `row`: the worst case of rounding P; infinite where there is none.
        rho: Signed error that rounding the exact P causes, 0 where P is not rounded.
        rounded: Signed error that rounding the exact output causes.
    """

    truth: Tensor
    hard: Tensor
    systematic: Tensor
    single: Tensor
    row: Tensor
    common: Tensor
    row_uncapped: Tensor
    worst: Tensor
    rho: Tensor
    rounded: Tensor

    def own(self) -> Tensor:
        """Variance of what elements have on their own, the output's rounding included."""
        return self.single + self.hard**2 / 3.0

    def only(self, compared: Tensor, times: int) -> Bound:
        """Zero where not compared; row-shared variance times the number of tied vectors."""
        parts = {f.name: getattr(self, f.name) for f in fields(self)}
        parts["row"] = parts["row"] * times
        if not bool(compared.all()):
            parts = {name: x.masked_fill(~compared, 0.0) for name, x in parts.items()}
        return Bound(**parts)

    def element(self, level: float) -> Tensor:
        """What no single error exceeds: hard + systematic + |rho| + lambda sigma, capped."""
        free = level * (self.single + self.row + self.common).sqrt()
        capped = self.worst + level * (self.single + self.common + self.row_uncapped).sqrt()
        return self.hard + self.systematic + self.rho.abs() + torch.minimum(free, capped)


def bound(name: str, reference: Reference, contract: Contract, case: Case) -> Bound:
    """The budget of one quantity.

    The output's own rounding is `u |computed| + eta`, and `|computed| <= |truth| + systematic`:
    with `|truth|` alone a value that arithmetic pushed over a power of two would be blamed.

    Args:
        name: out, lse, dq, dk, dv or dbias.
        reference: The truth and its moments.
        contract: What may be rounded.
        case: For lengths and groups.
    """
    truth = getattr(reference, name)
    m = reference.moments[name]
    if name == "lse":
        truth = truth.masked_fill(~reference.has_keys, 0.0)
    kind = arithmetic.kinds(case.dtype).index(contract.arithmetic)
    systematic = m.systematic[kind].double()
    u, eta, count = contract.form.u, contract.form.eta, contract.outputs
    if name == "lse":  # float32 whatever the inputs
        hard = arithmetic.U32 * (truth.abs() + systematic) + m.flush
        rounded = torch.zeros_like(truth)
    else:
        count += name == "dbias"  # a partial sum over one broadcast dimension is stored
        if (
            case.dropout_p
        ):  # 1 / (1 - p) may be stored in the format: a factor that all elements share
            systematic = systematic + u * truth.abs()
        hard = count * (u * (truth.abs() + systematic) + eta) + m.flush
        dtype = getattr(torch, contract.form.name)
        rounded = (truth.to(dtype).double() - truth).nan_to_num_(0.0, 0.0, 0.0)
    zero = torch.zeros_like(truth)
    row, uncapped, worst, rho = _rows(name, m, contract, case, zero)
    common = _unit(m, _attribute(contract, "_common"), contract, zero)
    single = _single(name, m, truth, contract, case, zero)
    if name == "dbias":  # each summand is rounded as dS, as the expanded bias's gradient, in a sum
        single, row = single + 3.0 * row, zero
    parts = (truth, hard, systematic, single, row, common, uncapped, worst, rho, rounded)
    return Bound(*(x.unsqueeze(-1) if x.dim() == 3 else x for x in parts))


def _attribute(contract: Contract, suffix: str = "") -> str:
    """Which moment belongs to what the contract stores; empty for nothing."""
    match contract.stores:
        case "nothing":
            return ""
        case "everything":
            return "unfused" + suffix
        case "sums too":
            return "chunked" + suffix
        case "P and dS from it" if not suffix:
            return "from_stored"
    return "fused" + suffix


def _unit(m: Moments, attribute: str, contract: Contract, zero: Tensor) -> Tensor:
    """u^2 / 3 times a squared moment; 0 where there is none."""
    moment = getattr(m, attribute) if attribute else None
    return zero if moment is None else (contract.form.u * moment.double()) ** 2 / 3.0


def _rows(
    name: str, m: Moments, contract: Contract, case: Case, zero: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Row-shared variance, its uncapped part, the cap and rho."""
    endless = torch.full_like(zero, torch.inf)
    attribute = _attribute(contract)
    if not attribute or case.dtype == "float32":
        return zero, zero, endless, zero
    stored = attribute if contract.stores in ("everything", "sums too") else ""
    if name == "lse":
        return _unit(m, stored, contract, zero), zero, endless, zero
    if name == "out":
        logits = _unit(m, stored, contract, zero)
        floor = m.floor_normalised if contract.normalised else m.floor
        alike = contract.stores == "sums too"  # P counts among the logits
        row = zero if alike else _unit(m, "squares", contract, zero)
        if floor is not None:
            row = row + (contract.form.eta * floor.double()) ** 2 / 3.0
        rho = m.rho_normalised if contract.normalised else m.rho
        if alike:
            return row + logits, row + logits, endless, _signed(m.rho_chunked, zero)
        if m.worst is None or rho is None:  # a case without queries or keys
            return row + logits, logits, endless, zero
        return row + logits, logits, contract.form.u * m.worst.double(), rho.double()
    if attribute in ("fused", "from_stored") and getattr(m, attribute) is None:
        attribute = "squares"  # dv knows no dS
    row = _unit(m, attribute, contract, zero)
    if contract.stores == "sums too":
        return row, row, endless, _signed(m.rho_chunked, zero)
    if name != "dv":
        from_P = contract.stores in ("P and dS from it", "everything") and m.rho is not None
        return row, row, endless, m.rho.double() if from_P and m.rho is not None else zero
    if m.worst is None or m.rho is None:
        return row, row, endless, zero
    alone = not stored and not contract.accumulator_tiles and case.groups == 1
    cap = contract.form.u * m.worst.double() if alone else endless
    return row, zero, cap, m.rho.double()


def _signed(rho: Tensor | None, zero: Tensor) -> Tensor:
    return zero if rho is None else rho.double()


def _single(
    name: str, m: Moments, truth: Tensor, contract: Contract, case: Case, zero: Tensor
) -> Tensor:
    """Extra roundings: accumulators in the storage format, one result of gradients per query head.

    A running sum rounded T times has the variance T u^2 / 3 of its size, which is at most the final
    value plus the walk towards it; a group's heads are rounded once each before they are added.
    """
    if case.dtype == "float32" or name not in ("out", "dq", "dk", "dv"):
        return zero
    u2, eta2 = contract.form.u**2 / 3.0, contract.form.eta**2 / 3.0
    heads = truth**2 if m.heads is None else m.heads.double() ** 2
    if m.squares is None:  # a case without queries or keys
        return zero
    times = contract.additions(name, case)
    found = times * (u2 * (heads + m.squares.double() ** 2) + eta2 * case.groups)
    if m.heads is not None and contract.stores != "nothing":
        found = found + u2 * heads + eta2 * case.groups
    return torch.as_tensor(found).expand_as(zero)
