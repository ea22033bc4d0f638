"""The smallest case that still shows what a trial showed, found by trying smaller ones.

Greedy delta debugging: what is not needed is dropped first (a bias, a layout, the backward), then every
size goes down to the smallest of 1, 2, 4, ... that still fails, and by bisection between that and the
next smaller one; again until nothing changes. Every step is a trial of its own in a child process.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace

from attnprobe.core.case import Case
from attnprobe.core.mask import NONE, Mask, Predicate
from attnprobe.core.outcome import Crashed, Measured, Raised, Refused
from attnprobe.core.score import Score
from attnprobe.core.trial import ONE_CALL, Record, Trial

TRIALS = 150
SECONDS = 60.0

Ask = Callable[[Trial], Record]
Told = Callable[[int, int, Record, float], None]


@dataclass(frozen=True)
class Minimised:
    """What the search found.

    Args:
        record: The smallest trial with the same symptom, and its outcome.
        tried: Trials that were run.
        steps: Each case that still failed, in order, as a label.
        unfinished: Why the search ended before nothing smaller failed; empty when it did not.
    """

    record: Record
    tried: int
    steps: tuple[str, ...]
    unfinished: str = ""


def symptom(record: Record) -> str:
    """What must stay the same while a case shrinks, as one word or sentence.

    A failed comparison keeps the kind of its first failure, and for accuracy the tensor; an exception
    its type; a death its signal; a refusal who said it and its first reason without the numbers.
    """
    match record.outcome:
        case Measured(parity=None):
            return "measured"
        case Measured(parity=parity) if parity is not None and parity.failures:
            first = parity.failures[0]
            tensor = first.of if first.kind in ("accuracy", "nonfinite") else ""
            return f"wrong {first.kind} {tensor}".rstrip()
        case Measured(parity=parity):
            return f"measured {parity.verdict}" if parity is not None else "measured"
        case Raised(type=kind):
            return f"raised {kind}"
        case Crashed(signal=signal, exit_code=code):
            return f"crashed {signal or code}"
        case Refused(by=by, reasons=reasons):
            return f"refused by {by}: {re.sub(r'[0-9]+', '#', reasons[0]) if reasons else ''}"
        case outcome:
            return outcome.kind


def minimise(
    record: Record,
    ask: Ask,
    told: Told | None = None,
    confirm: Ask | None = None,
    *,
    trials: int = TRIALS,
    seconds: float = SECONDS,
) -> Minimised | str:
    """Shrinks the case of a trial; gives the reason where the symptom does not show here at all.

    Args:
        record: What became of the trial.
        ask: Runs a trial.
        told: Called after each trial with: trials run, most trials, its record, seconds left.
        confirm: Runs the trial that was found once more, by the question that the user asked; `ask`
            where None.
        trials: Most trials to run.
        seconds: Time after which no further trial is begun.
    """
    search = _Search(record, ask, told, trials, time.monotonic() + seconds)
    if search.symptom.startswith("measured"):
        return "no failure was seen that a smaller case could keep"
    try:
        here = search.run(_unexplained(record.trial))
    except _Spent as spent:
        return str(spent)
    if symptom(here) != search.symptom:
        return f"here the same trial ends otherwise: {_instead(here, record)}"
    search.best, unfinished = here, ""
    try:
        _shrink(search)
    except _Spent as spent:
        unfinished = str(spent)
    last = (confirm or ask)(replace(record.trial, case=search.case))
    if symptom(last) != search.symptom:
        return f"asked again, the case it shrank to ended otherwise: {_instead(last, record)}"
    return Minimised(last, search.tried, tuple(search.steps), unfinished)


def _unexplained(trial: Trial) -> Trial:
    """The same question without what takes time and does not change the answer."""
    if trial.question in ONE_CALL:
        return Trial(trial.case, trial.backend, "verdict")
    return trial


def _instead(here: Record, record: Record) -> str:
    return f"{symptom(here)} instead of {symptom(record)}"


def _shrink(search: _Search) -> None:
    before = None
    while before != search.case:
        before = search.case
        for edited in _without(search):
            search.keep(edited)
        for axis in _AXES:
            axis(search)


class _Spent(Exception):
    """No trial may be run any more."""


class _Search:
    """The smallest failing case so far, and what may still be spent."""

    def __init__(
        self, record: Record, ask: Ask, told: Told | None, trials: int, until: float
    ) -> None:
        self.best, self.symptom = record, symptom(record)
        self.tried, self.steps = 0, list[str]()
        self._ask, self._told, self._trials, self._until = ask, told, trials, until
        self._known: set[str] = {record.trial.case.id}

    @property
    def case(self) -> Case:
        return self.best.trial.case

    def run(self, trial: Trial) -> Record:
        if self.tried >= self._trials:
            raise _Spent(f"{self._trials} trials were run")
        left = self._until - time.monotonic()
        if left <= 0:
            raise _Spent("the time for it was over")
        self.tried += 1
        found = self._ask(trial)
        if self._told is not None:
            self._told(self.tried, self._trials, found, max(left, 0.0))
        return found

    def keep(self, case: Case) -> bool:
        """Whether the edited case fails alike; then the search goes on from it."""
        if case.problems or case.id in self._known:
            return case.id == self.case.id
        self._known.add(case.id)
        found = self.run(replace(self.best.trial, case=case))
        if symptom(found) != self.symptom:
            return False
        self.best = found
        self.steps.append(case.label)
        return True

    def least(self, size: int, resized: Callable[[Case, int], Case]) -> None:
        """Brings one size down: 1, 2, 4, ... until one fails, then bisection below that."""
        passing, step = 0, 1
        while step < size and not self.keep(resized(self.case, step)):
            passing, step = step, 2 * step
        failing = min(step, size)
        while failing - passing > 1:
            middle = (failing + passing) // 2
            if self.keep(resized(self.case, middle)):
                failing = middle
            else:
                passing = middle


def _without(search: _Search) -> Iterator[Case]:
    """The present case with one thing less; each is made from what the one before it left."""
    yield search.case.edit(lengths=None)
    yield search.case.edit(layout="BHMK")
    yield search.case.edit(mask_form="best")
    yield search.case.edit(family="normal")
    yield search.case.edit(score=Score())
    yield search.case.edit(score=replace(search.case.score, bias=None))
    yield search.case.edit(score=replace(search.case.score, softcap=None))
    yield search.case.edit(score=replace(search.case.score, alibi=False))
    yield search.case.edit(score=replace(search.case.score, scale=None))
    if search.case.score.bias is not None:
        fixed = replace(search.case.score.bias, requires_grad=False)
        yield search.case.edit(score=replace(search.case.score, bias=fixed))
    yield search.case.edit(passes="fwd")
    if search.case.wants_backward and len(search.case.grads) > 1:
        for name in search.case.grads:
            yield search.case.edit(grads=(name,))
        for name in search.case.grads:
            yield search.case.edit(grads=tuple(n for n in search.case.grads if n != name))
    yield search.case.edit(dropout_p=0.0)
    yield search.case.edit(mask=NONE)
    for n in range(len(search.case.mask.predicates)):
        kept = search.case.mask.predicates
        if n < len(kept):
            yield _masked(search.case, predicates=kept[:n] + kept[n + 1 :])
    yield search.case.edit(Hkv=search.case.Hq)
    yield search.case.edit(Kv=search.case.K)
    shorter = min(search.case.Mq, search.case.Mkv)
    yield _resized(search.case, shorter, shorter)


def _masked(case: Case, **changes: object) -> Case:
    """Another mask; the case itself where that would be none."""
    try:
        return case.edit(mask=replace(case.mask, **changes))  # type: ignore[arg-type] # mask's own fields
    except ValueError:
        return case


def _resized(case: Case, Mq: int, Mkv: int) -> Case:
    """Other lengths; those of sequences are cut to them."""
    lengths = case.lengths
    if lengths is not None:
        q = tuple(min(n, Mq) for n in lengths.q)
        kv = tuple(min(n, Mkv) for n in lengths.kv)
        lengths = replace(lengths, q=q, kv=kv)
    return case.edit(Mq=Mq, Mkv=Mkv, lengths=lengths)


def _batch(search: _Search) -> None:
    """Sequences, the last ones left out; with lengths also one after the other."""

    def resized(case: Case, n: int) -> Case:
        lengths = case.lengths
        if lengths is not None:
            lengths = replace(lengths, q=lengths.q[:n], kv=lengths.kv[:n])
        return case.edit(B=n, lengths=lengths)

    search.least(search.case.B, resized)
    for n in reversed(range(search.case.B if search.case.lengths else 0)):
        lengths = search.case.lengths
        if lengths is None or search.case.B < 2 or n >= search.case.B:
            continue
        q, kv = (side[:n] + side[n + 1 :] for side in (lengths.q, lengths.kv))
        fewer = replace(lengths, q=q, kv=kv)
        search.keep(search.case.edit(B=search.case.B - 1, lengths=fewer))


def _heads(search: _Search) -> None:
    search.least(search.case.Hkv, lambda c, n: c.edit(Hkv=n, Hq=n * c.groups))
    search.least(search.case.groups, lambda c, n: c.edit(Hq=n * c.Hkv))


def _rows(search: _Search) -> None:
    if search.case.Mq == search.case.Mkv:
        search.least(search.case.Mq, lambda c, n: _resized(c, n, n))
    search.least(search.case.Mq, lambda c, n: _resized(c, n, c.Mkv))
    search.least(search.case.Mkv, lambda c, n: _resized(c, c.Mq, n))


def _dims(search: _Search) -> None:
    if search.case.Kv == search.case.K:
        search.least(search.case.K, lambda c, n: c.edit(K=n, Kv=n))
        return
    search.least(search.case.K, lambda c, n: c.edit(K=n))
    search.least(search.case.Kv, lambda c, n: c.edit(Kv=n))


def _lengths(search: _Search) -> None:
    if search.case.lengths is None:
        return
    search.keep(search.case.edit(lengths=replace(search.case.lengths, tail=0)))
    for side in ("q", "kv"):
        for n in range(search.case.B):
            search.least(
                getattr(search.case.lengths, side)[n],
                lambda c, size, side=side, n=n: _shorter(c, side, n, size),  # type: ignore[misc] # defaults bind
            )


def _shorter(case: Case, side: str, n: int, size: int) -> Case:
    assert case.lengths is not None
    q, kv = case.lengths.q, case.lengths.kv
    if side == "q":
        q = (*q[:n], size, *q[n + 1 :])
    else:
        kv = (*kv[:n], size, *kv[n + 1 :])
    lengths = replace(case.lengths, q=q, kv=kv)
    return case.edit(lengths=lengths, Mq=max(lengths.q), Mkv=max(lengths.kv))


def _mask(search: _Search) -> None:
    """The numbers in a mask: window sides and the parameters of predicates."""
    for side in ("left", "right"):
        size = getattr(search.case.mask, side)
        if size is not None and size > 0:
            search.keep(_masked(search.case, **{side: 0}))
            search.least(size, lambda c, n, side=side: _masked(c, **{side: n}))  # type: ignore[misc] # defaults bind
    for n, predicate in enumerate(search.case.mask.predicates):
        for f in fields(predicate):
            size = getattr(predicate, f.name)
            if isinstance(size, int) and f.name != "seed":
                search.least(size, lambda c, k, n=n, name=f.name: _parameter(c, n, name, k))  # type: ignore[misc] # defaults bind


def _parameter(case: Case, n: int, name: str, size: int) -> Case:
    mask: Mask = case.mask
    try:
        smaller: Predicate = replace(mask.predicates[n], **{name: size})
    except ValueError:
        return case
    return _masked(case, predicates=(*mask.predicates[:n], smaller, *mask.predicates[n + 1 :]))


_AXES = (_batch, _heads, _rows, _dims, _lengths, _mask)
