"""Tries hypotheses on a failed trial, the simple kinds first, and writes down which restore parity.

A hypothesis fits when what the backend returned passes the judge against the problem that the
hypothesis says it solved, with enough resolution to be evidence. Within a kind, what explained an
earlier failure of the same backend is tried first. A gradient is explained by itself only where the
output is right or explained: beside a wrong output it may follow from that.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field, replace

from torch import Tensor

from attnprobe.core.case import Case
from attnprobe.core.parity import QUANTITIES, Failure, Parity
from attnprobe.device.explainer import hypotheses, past, pattern
from attnprobe.device.explainer.hypotheses import KINDS, Variants
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

BY_THEMSELVES = ("result", "precision")
"""Kinds that speak of one quantity at a time: of the output first."""

GRADIENTS = ("dq", "dk", "dv", "dbias")

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
    backend: str = "",
) -> Parity:
    """The verdict with an explanation in every failure that is about numbers.

    Args:
        parity: Of a trial; returned as it is when nothing about numbers failed.
        outputs: What the backend returned.
        inputs: What it was given.
        reference: `compute(inputs)`.
        run: Launches the backend again, for hypotheses that need it.
        backend: Whose failure it is: what explained earlier ones is tried first, and all together may
            take `past.TOTAL_S`.
    """
    earlier = tuple(_earlier)
    _earlier.append(inputs.case)
    of = dict.fromkeys(f.of for f in parity.failures if f.kind in SPEAKS_OF and f.of)
    if not of:
        return parity
    seen = Seen(inputs, outputs, reference, parity, tuple(of), earlier, run)
    before, start = past.of(backend), time.monotonic()
    attempt = Attempt(seen, before)
    said = _too_large(inputs.case, reference) or _too_late(before) or attempt.run()
    told = tuple(_told(f, seen, attempt, said) for f in parity.failures)
    before.spent_s += time.monotonic() - start
    return replace(parity, failures=told)


def _too_late(before: past.Past) -> str:
    if before.left_s:
        return ""
    return (
        "no hypothesis tried: explaining earlier failures of this backend took "
        f"{past.TOTAL_S:g} s; ask about this case alone"
    )


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


Candidate = tuple[Variants, Variant]
"""A variant, and the hypothesis that it is of."""


@dataclass
class Attempt:
    """Hypotheses tried on one failed trial.

    Args:
        seen: The trial.
        past: What was found out about the backend before.
        fits: By kind of failure and quantity, what explains it.
    """

    seen: Seen
    past: past.Past
    fits: dict[tuple[str, str], list[Fit]] = field(default_factory=dict)
    tried: int = 0
    left: int = 0

    def run(self) -> str:
        """Tries all kinds; returns what to say of a failure that none explains."""
        self.deadline = time.monotonic() + min(LIMIT_S, self.past.left_s)
        self.references = [(self.seen.inputs, self.seen.reference)]
        self.failed = frozenset(
            (f.kind, f.of) for f in self.seen.parity.failures if f.kind in SPEAKS_OF and f.of
        )
        self.open = set(self.failed)
        known = tuple(self.past.helped)
        for kind in KINDS:  # a simpler kind goes before a known hypothesis of a later one
            self._ask(kind, tuple(h for h in known if h in hypotheses.of_kind(kind)))
            self._ask(kind, tuple(h for h in hypotheses.of_kind(kind) if h not in known))
        late = f", {self.left} not within {LIMIT_S:g} s" if self.left else ""
        alone = ""
        if self._output_is_open and any(of in GRADIENTS for _, of in (*self.open, *self.fits)):
            self.fits = {key: fits for key, fits in self.fits.items() if key[1] not in GRADIENTS}
            alone = "; gradients alone are no cause while the output is wrong"
        return f"no hypothesis fits ({self.tried - self.left} tried{late}{alone})"

    @property
    def _output_is_open(self) -> bool:
        return any(of == "out" for _, of in self.open)

    def _ask(self, kind: str, asked: tuple[Variants, ...]) -> None:
        """Hypotheses of one kind; those that speak of one quantity at a time, of the output first."""
        if kind in BY_THEMSELVES and self._output_is_open:
            self._try(kind, asked, {of for _, of in self.open} - set(GRADIENTS))
            if self._output_is_open:
                return
        self._try(kind, asked, {of for _, of in self.open})

    def _try(self, kind: str, asked: tuple[Variants, ...], about: set[str]) -> None:
        if not asked or not about:
            return
        seen = replace(self.seen, unexplained=tuple(of for of in QUANTITIES if of in about))
        variants = [(load, v) for load in asked for v in load(seen)]
        self.tried += len(variants)
        self._judge(self._screened(seen, variants) if kind in SCREENED else variants)
        self.open -= set(self.fits)

    def _screened(self, seen: Seen, variants: list[Candidate]) -> list[Candidate]:
        """The few variants that come near in some rows, nearest first."""
        screen = Screen(seen)
        errors = [(screen.error(v), n) for n, (_, v) in enumerate(variants)]
        best = min(errors, default=(1.0, 0))[0]
        near = [(e, n) for e, n in errors if e <= min(LOOKS_RIGHT, max(NEAR * best, 1e-6))]
        return [variants[n] for _, n in sorted(near)[:JUDGED]]

    def _judge(self, variants: list[Candidate]) -> None:
        """Adds those that restore parity; the first that explains the output becomes the problem."""
        solved: Variant | None = None
        for n, (load, variant) in enumerate(variants):
            if time.monotonic() > self.deadline:
                self.left += len(variants) - n
                break
            fits = self._fits(variant)
            if fits:
                self.past.remember(load)
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
        if ("accuracy", "out") in wrong and ("accuracy", "out") not in self.failed:
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
