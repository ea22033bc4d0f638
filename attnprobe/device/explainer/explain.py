"""Tries hypotheses on a failed trial, the simple kinds first, and writes down which restore parity.

A hypothesis fits when what the backend returned passes the judge against the problem that the
hypothesis says it solved, with enough resolution to be evidence.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field, replace

from torch import Tensor

from attnprobe.core.case import Case
from attnprobe.core.parity import Failure, Parity
from attnprobe.device.explainer import hypotheses, pattern
from attnprobe.device.explainer.hypotheses import KINDS
from attnprobe.device.explainer.screen import Screen
from attnprobe.device.explainer.seen import Seen, Variant, as_they_are
from attnprobe.device.inputs import Inputs, Outputs
from attnprobe.device.numerics import contracts, judge
from attnprobe.device.numerics.exact import Run
from attnprobe.device.reference import Reference, compute

LIMIT_S = 2.0
"""Seconds per failed trial, looked at between two hypotheses."""

PAIRS = {"cpu": 2**23, "cuda": 2**27}
"""Scores (B Hq Mq Mkv) up to which hypotheses are tried: each that looks right costs one reference."""

LOOKS_RIGHT = 0.9
"""Share of the error in the screened rows below which a variant is worth a reference."""

JUDGED = 6
"""Variants of one kind that are worth one, the best looking first."""

NEAR = 1.5
"""Variants that leave this many times what the best one leaves cannot be right beside it."""

DROP = 50.0
"""A kernel that solves another problem may round there more than it is held to; a looser contract is
asked where the error drops by this factor at least, which no contract's slack makes."""

SCREENED = ("problem", "indirect")

SPEAKS_OF = frozenset({"accuracy", "leak", "nonfinite", "empty_rows"})
"""Failures that are about numbers."""

NUMBERS = frozenset({"accuracy", "nonfinite"})
"""Failures whose size is the error of their quantity."""

_earlier: deque[Case] = deque(maxlen=64)


def explain(
    parity: Parity,
    outputs: Outputs,
    inputs: Inputs,
    reference: Reference,
    run: Run | None = None,
) -> Parity:
    """The verdict with an explanation in every failure that is about numbers.

    Args:
        parity: Of a trial; returned as it is when nothing about numbers failed.
        outputs: What the backend returned.
        inputs: What it was given.
        reference: `compute(inputs)`.
        run: Launches the backend again, for hypotheses that need it.
    """
    earlier = tuple(_earlier)
    _earlier.append(inputs.case)
    of = dict.fromkeys(f.of for f in parity.failures if f.kind in SPEAKS_OF and f.of)
    if not of:
        return parity
    seen = Seen(inputs, outputs, reference, parity, tuple(of), earlier, run)
    attempt = Attempt(seen)
    said = _too_large(inputs.case, reference) or attempt.run()
    return replace(parity, failures=tuple(_told(f, seen, attempt, said) for f in parity.failures))


def _too_large(case: Case, reference: Reference) -> str:
    pairs, limit = case.B * case.Hq * case.Mq * case.Mkv, PAIRS[case.device.partition(":")[0]]
    if pairs > limit:
        return f"no hypothesis tried: {pairs:,} scores; up to {limit:,} are explained"
    if reference.index is not None:
        return "no hypothesis tried: only some queries have a reference"
    if case.dropout_p:
        return "no hypothesis tried: with dropout the truth is a distribution"
    return ""


def _told(failure: Failure, seen: Seen, attempt: Attempt, said: str) -> Failure:
    if failure.kind not in SPEAKS_OF or not failure.of:
        return failure
    quantity = seen.parity.quantities.get(failure.of)
    fits = attempt.fits.get((failure.kind, failure.of), [])
    return replace(
        failure,
        hypothesis="; or ".join(fit.says for fit in fits) or said,
        where=pattern.where(failure, seen),
        error_before=quantity.ratio if quantity and failure.kind in NUMBERS else None,
        error_after=fits[0].after.get(failure.of, 0.0) if fits else None,
    )


@dataclass(frozen=True)
class Fit:
    """A variant that restored parity.

    Args:
        says: What is wrong with the kernel.
        after: Error over bound by quantity.
    """

    says: str
    after: dict[str, float]


@dataclass
class Attempt:
    """Hypotheses tried on one failed trial.

    Args:
        seen: The trial.
        fits: By kind of failure and quantity, what explains it.
    """

    seen: Seen
    fits: dict[tuple[str, str], list[Fit]] = field(default_factory=dict)
    tried: int = 0
    left: int = 0

    def run(self) -> str:
        """Tries all kinds; returns what to say of a failure that none explains."""
        self.deadline = time.monotonic() + LIMIT_S
        self.references = [(self.seen.inputs, self.seen.reference)]
        self.open = {
            (f.kind, f.of) for f in self.seen.parity.failures if f.kind in SPEAKS_OF and f.of
        }
        for kind in KINDS:
            if not self.open:
                break
            seen = replace(self.seen, unexplained=tuple(dict.fromkeys(of for _, of in self.open)))
            variants = [v for load in hypotheses.of_kind(kind) for v in load(seen)]
            self.tried += len(variants)
            self._judge(self._screened(seen, variants) if kind in SCREENED else variants)
            self.open -= set(self.fits)
        late = f", {self.left} not within {LIMIT_S:g} s" if self.left else ""
        return f"no hypothesis fits ({self.tried - self.left} tried{late})"

    def _screened(self, seen: Seen, variants: list[Variant]) -> list[Variant]:
        """The few variants that come near in some rows, nearest first."""
        screen = Screen(seen)
        errors = [(screen.error(v), n) for n, v in enumerate(variants)]
        best = min(errors, default=(1.0, 0))[0]
        near = [(e, n) for e, n in errors if e <= min(LOOKS_RIGHT, max(NEAR * best, 1e-6))]
        return [variants[n] for _, n in sorted(near)[:JUDGED]]

    def _judge(self, variants: list[Variant]) -> None:
        """Adds those that restore parity; the first that explains the output becomes the problem."""
        solved: Variant | None = None
        for n, variant in enumerate(variants):
            if time.monotonic() > self.deadline:
                self.left += len(variants) - n
                break
            fits = self._fits(variant)
            for key, fit in fits.items():
                if key not in self.fits or not variant.contract:  # the tightest contract is enough
                    self.fits.setdefault(key, []).append(fit)
            if solved is None and any(of == "out" for _, of in fits):
                solved = variant
        if solved is not None and solved.undo is as_they_are:
            reference = self._reference(solved.inputs)
            self.seen = replace(self.seen, inputs=solved.inputs, reference=reference)

    def _fits(self, variant: Variant) -> dict[tuple[str, str], Fit]:
        """What the variant explains, under the trial's contract or, for the most part, a looser one."""
        held_to = variant.contract or self.seen.parity.contract
        reference = self._reference(variant.inputs, variant.drawn)
        outputs = variant.undo(self.seen.outputs)
        explained: dict[tuple[str, str], Fit] = {}
        for contract in self._contracts(held_to) if not variant.contract else (held_to,):
            found = judge.compare(outputs, variant.inputs, reference, contract)
            note = (
                "" if contract == held_to else f", and rounding as the contract {contract} allows"
            )
            fit = Fit(variant.says + note, {n: q.ratio for n, q in found.quantities.items()})
            keys = self._passed(variant, found, drop=1.0 if contract == held_to else DROP)
            explained |= {key: fit for key in keys if key not in explained}
            wanted = {key for key in self.open if key[1] in variant.of}
            if wanted <= set(explained) or not self._nearly(found, wanted - set(explained)):
                break
        if (
            "out" in variant.of
            and not any(of == "out" for _, of in explained)
            and any(of == "out" for _, of in self.open)
        ):
            return {}  # what does not make the output right is no cause
        return explained

    def _passed(
        self, variant: Variant, found: judge.Comparison, drop: float
    ) -> set[tuple[str, str]]:
        """Open failures that are gone; none when the output is newly wrong or nothing is evidence."""
        wrong = {(f.kind, f.of) for f in found.failures}
        if ("accuracy", "out") in wrong and ("accuracy", "out") not in self.open:
            return set()
        gone = {
            (kind, of)
            for kind, of in self.open
            if of in variant.of
            and (kind, of) not in wrong
            and of in found.quantities
            and found.quantities[of].verdict != "fail"
            and found.quantities[of].ratio * drop <= max(self._before(of), 1.0)
        }
        evidence = any(found.quantities[of].verdict == "pass" for _, of in gone)
        return gone if evidence else set()

    def _nearly(self, found: judge.Comparison, missing: set[tuple[str, str]]) -> bool:
        """True when what is left of some missing quantity is a small share of its error."""
        ratios = ((of, found.quantities[of].ratio) for _, of in missing if of in found.quantities)
        return any(ratio * DROP <= self._before(of) for of, ratio in ratios)

    def _before(self, of: str) -> float:
        quantity = self.seen.parity.quantities.get(of)
        return quantity.ratio if quantity else 0.0

    def _contracts(self, held_to: str) -> tuple[str, ...]:
        names = contracts.names()
        return names[names.index(held_to) :]

    def _reference(self, inputs: Inputs, drawn: Tensor | None = None) -> Reference:
        for known, reference in self.references:
            if known is inputs:
                return reference
        self.references.append((inputs, compute(inputs, drawn=drawn)))
        return self.references[-1][1]
