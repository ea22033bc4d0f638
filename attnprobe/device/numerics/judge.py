"""Holds what a backend returned against the reference; verdicts, failures and the ladder."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from attnprobe.core.parity import QUANTITIES, Failure, Parity, Quantity, Spot, Verdict
from attnprobe.device.inputs import Inputs, Outputs
from attnprobe.device.numerics import contracts, semantics
from attnprobe.device.numerics.bounds import bound
from attnprobe.device.numerics.contracts import Contract
from attnprobe.device.numerics.levels import TINY, Limits, Look, limits
from attnprobe.device.numerics.ties import Ties, ties
from attnprobe.device.reference import Reference

NO_POWER = 0.1
"""Bound over truth, in RMS, above which a tensor is no evidence: an error of 10 % would pass."""


REMEMBERED = 2**20
"""Elements up to which a quantity's limits are kept with the reference."""


@dataclass(frozen=True)
class _Subject:
    """One tensor to be judged."""

    name: str
    got: Tensor
    compared: Tensor
    reference: Reference
    inputs: Inputs
    ties: Ties

    def limits(self, contract: Contract) -> Limits:
        """What the contract allows; remembered, as several backends are judged by one reference."""
        key = (self.name, contract.name)
        known = self.reference.remembered.get(key)
        if isinstance(known, Limits):
            return known
        b = bound(self.name, self.reference, contract, self.inputs.case)
        b = b.only(self.compared, self.ties.of(self.name))
        found = limits(b, self.reference.level, self.ties.columns)
        if self.got.numel() <= REMEMBERED:
            self.reference.remembered[key] = found
        return found

    def error(self, allowed: Limits) -> Tensor:
        """Zero where not compared, and where the truth overflows as the backend does."""
        error = (self.got - allowed.truth).masked_fill(~self.compared, 0.0)
        return error.nan_to_num(0.0, 0.0, 0.0)


def judge(outputs: Outputs, inputs: Inputs, reference: Reference, contract: str) -> Parity:
    """The verdict on one trial.

    Order: missing gradients, shapes and dtypes; rows without keys; exact zeros; non-finite values;
        then three
    levels (element, group, gain) for every quantity that both sides have.

    Args:
        outputs: What the backend returned, canonical; None for what it did not. They are moved to where
            the reference is.
        inputs: What it was given.
        reference: `compute` of the same inputs.
        contract: One of `contracts.names()`; verdicts are relative to it.

    Returns:
        fail if anything failed; pass if at least one quantity is evidence and none failed; no_power
        if quantities were compared but none is evidence; none if nothing was compared.

    Raises:
        UsageError: No such contract for the case's dtype.
    """
    held_to = contracts.get(contract, inputs.case.dtype)
    outputs = outputs.to(reference.device)
    wrong = semantics.form(outputs, inputs)
    if any(f.kind in ("shape", "dtype") for f in wrong):
        return Parity("fail", contract, failures=wrong)
    if inputs.case.dropout_p and not reference.drawn:
        return _without_truth(outputs, inputs, reference, contract)
    found = compare(outputs, inputs, reference, contract)
    failures = wrong + found.failures
    return Parity(
        verdict=_overall(found.quantities, failures),
        contract=contract,
        numerics_class=_ladder(found.subjects, found.quantities, held_to),
        quantities=found.quantities,
        failures=failures,
        empty_rows=found.empty_rows,
    )


@dataclass(frozen=True)
class Comparison:
    """What a judge sees in outputs of the right form.

    Args:
        subjects: What was compared.
        quantities: How it went, by name.
        failures: Everything wrong.
        empty_rows: What rows without keys returned.
    """

    subjects: tuple[_Subject, ...]
    quantities: dict[str, Quantity]
    failures: tuple[Failure, ...]
    empty_rows: str


def compare(outputs: Outputs, inputs: Inputs, reference: Reference, contract: str) -> Comparison:
    """The numbers alone; gradients may be missing and dtypes may differ from the inputs'.

    Args:
        outputs: As for `judge`, in any floating dtype.
        inputs: As for `judge`.
        reference: `compute` of the same inputs.
        contract: One of `contracts.names()`.
    """
    held_to = contracts.get(contract, inputs.case.dtype)
    outputs = outputs.to(reference.device)
    convention, wrong = semantics.empty_rows(outputs, inputs, reference)
    failures = [*wrong, *semantics.exact_zeros(outputs, reference)]
    subjects = _subjects(outputs, inputs, reference)
    quantities: dict[str, Quantity] = {}
    for subject in subjects:
        quantities[subject.name], problem = _quantity(subject, held_to)
        failures += [problem] if problem else []
    return Comparison(subjects, quantities, tuple(failures), convention)


def ratios(
    name: str, outputs: Outputs, inputs: Inputs, reference: Reference, contract: str
) -> Tensor | None:
    """Error over its bound, element by element; inf where non-finite, None where nothing is compared."""
    held_to = contracts.get(contract, inputs.case.dtype)
    for subject in _subjects(outputs.to(reference.device), inputs, reference):
        if subject.name == name:
            allowed = subject.limits(held_to)
            error = (subject.got - allowed.truth).abs().nan_to_num(math.inf, math.inf)
            return (error / (allowed.tolerance + TINY)).masked_fill(~subject.compared, 0.0)
    return None


def _without_truth(outputs: Outputs, inputs: Inputs, reference: Reference, contract: str) -> Parity:
    """The truth depends on the pairs that were drawn; what is not finite is wrong whatever they are."""
    failures = [*semantics.form(outputs, inputs)]
    convention, wrong = semantics.empty_rows(outputs, inputs, reference)
    failures += [*wrong, *semantics.exact_zeros(outputs, reference)]
    for subject in _subjects(outputs, inputs, reference):
        count = int((subject.compared & ~subject.got.isfinite()).sum())
        if count:
            message = f"{subject.name} holds {count} NaN or inf of {subject.got.numel()} elements"
            failures.append(Failure("nonfinite", message, of=subject.name))
    why = "with dropout the truth depends on the pairs that were drawn, which are not known"
    return Parity(
        verdict="fail" if failures else "none",
        contract=contract,
        failures=tuple(failures),
        empty_rows=convention,
        unsaid="" if failures else why,
    )


def _subjects(outputs: Outputs, inputs: Inputs, reference: Reference) -> tuple[_Subject, ...]:
    tied, found = _ties(inputs, reference), []
    for name in QUANTITIES:
        x, truth = getattr(outputs, name), getattr(reference, name)
        if x is None or truth is None:
            continue
        got = semantics.held(name, x, reference)
        got = got.unsqueeze(-1) if name == "lse" else got
        compared = torch.ones_like(got, dtype=torch.bool)
        if name in ("out", "lse", "dq"):
            compared = reference.has_keys[..., None].expand_as(got)
        if bool(compared.any()):
            found.append(_Subject(name, got, compared, reference, inputs, tied))
    return tuple(found)


def _ties(inputs: Inputs, reference: Reference) -> Ties:
    """Those of the inputs that the reference is of, counted once."""
    known = reference.remembered.get("ties")
    if not isinstance(known, Ties):
        known = reference.remembered["ties"] = ties(inputs)
    return known


def _quantity(subject: _Subject, contract: Contract) -> tuple[Quantity, Failure | None]:
    name, got = subject.name, subject.got
    allowed = subject.limits(contract)
    largest = math.inf if name == "lse" else contract.form.largest
    bad = semantics.unexpected(got, allowed.truth, subject.compared, largest)
    count = int(bad.sum())
    if count:
        where = tuple(int(n) for n in bad.nonzero()[0])
        worst = Quantity("fail", math.inf, "element", math.inf, 0.0, where, count)
        kinds = "NaN" if bool(got[bad].isnan().all()) else "inf or NaN"
        message = f"{name} holds {count} {kinds} of {got.numel()} elements, first at {where}"
        return worst, Failure("nonfinite", message, of=name)
    error = subject.error(allowed)
    looks = allowed.worst(error)
    top = max(looks, key=lambda look: look.ratio)
    size, resolution = float(allowed.truth.norm()), allowed.resolution
    verdict: Verdict = "pass" if top.ratio <= 1.0 else "fail"
    if verdict == "pass" and resolution > NO_POWER:
        verdict = "no_power"
    quantity = Quantity(
        verdict=verdict,
        ratio=top.ratio,
        level=top.level,
        relative_error=float(error.norm()) / size if size else 0.0,
        resolution=resolution,
        worst_index=looks[0].index,
        spot=_spot(subject, allowed, top, error) if verdict == "fail" else None,
    )
    if verdict != "fail":
        return quantity, None
    return quantity, _accuracy(subject, contract, quantity, top, allowed.tolerance, error)


def _spot(subject: _Subject, allowed: Limits, top: Look, error: Tensor) -> Spot | None:
    """One telling number at its canonical place.

    Where only some queries have a reference, rows are those: an element's place is known, a group's is
    no slice of the canonical tensor.
    """
    index = subject.reference.index
    by_query = subject.name in ("out", "lse", "dq")
    if index is None or not by_query:
        return allowed.spot(top, error)
    if top.level != "element":
        return None
    b, h, row, *rest = top.index
    place = ", ".join(map(str, (b, h, int(index[row]), *rest)))
    return replace(allowed.spot(top, error), at=place)


def _accuracy(
    subject: _Subject,
    contract: Contract,
    quantity: Quantity,
    top: Look,
    tolerance: Tensor,
    error: Tensor,
) -> Failure:
    name, index = subject.name, quantity.worst_index
    where = f" ({top.where})" if top.where else ""
    message = (
        f"{name} is off by {quantity.ratio:.3g} times what {contract.name} allows "
        f"({top.level}{where}); relative error {quantity.relative_error:.2e}; worst element {index}: "
        f"error {float(error[index]):.3e}, allowed {float(tolerance[index]):.3e}"
    )
    return Failure("accuracy", message, of=name)


def _overall(quantities: dict[str, Quantity], failures: tuple[Failure, ...]) -> Verdict:
    if failures or any(q.verdict == "fail" for q in quantities.values()):
        return "fail"
    if not quantities:
        return "none"
    return "pass" if any(q.verdict == "pass" for q in quantities.values()) else "no_power"


def _ladder(
    subjects: tuple[_Subject, ...], quantities: dict[str, Quantity], held_to: Contract
) -> str:
    """The tightest contract that every quantity meets; each rung stops at its first misfit."""
    if not subjects or any(q.nonfinite for q in quantities.values()):
        return ""
    for name in contracts.names():
        if name == held_to.name:
            if all(q.ratio <= 1.0 for q in quantities.values()):
                return name
        elif all(_meets(s, contracts.get(name, held_to.form.name)) for s in subjects):
            return name
    return ""


def _meets(subject: _Subject, contract: Contract) -> bool:
    allowed = subject.limits(contract)
    error = subject.error(allowed)
    looks = (allowed.element, allowed.group, allowed.gain)
    return all(look(error).ratio <= 1.0 for look in looks)
