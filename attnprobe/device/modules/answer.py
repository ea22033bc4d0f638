"""One trial of a layer: made, launched, held against the layer in float64, and timed like any call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

import torch
from torch import Tensor

from attnprobe.core.outcome import Measured, Outcome, Refused
from attnprobe.core.parity import Parity
from attnprobe.core.timing import Timing, Versus
from attnprobe.core.trial import Trial
from attnprobe.device import modules, remembered, room
from attnprobe.device.backends._claim import why
from attnprobe.device.backends.base import Prepared
from attnprobe.device.lowering.base import Refusal
from attnprobe.device.measure import measure, observe, short, turn, unexpected, versus
from attnprobe.device.measure.cold import Prepare
from attnprobe.device.modules import truth as known
from attnprobe.device.modules.base import Layer, LayerInputs
from attnprobe.device.modules.judge import judge
from attnprobe.device.subject import NO_KERNEL, Declined

QUESTIONS = ("check", "verdict", "time", "compare", "turn")


@dataclass(frozen=True)
class Contestant:
    """One variant of the layer in question.

    Args:
        layer: Which layer.
        variant: How it is computed.
        given: Its inputs and weights.
        announce: Called with the name of every phase that begins.
    """

    layer: Layer
    variant: str
    given: LayerInputs
    announce: Callable[[str], None]

    def prepare(self) -> Prepared:
        """Ready to launch.

        Raises:
            Declined: The variant is not installed, broken, or does not take the case.
        """
        try:
            self.layer.available(self.variant)
        except Exception as error:
            absent = isinstance(error, ModuleNotFoundError)
            raise Declined(Refused("absent" if absent else "broken", (why(error),))) from error
        prepared = self.layer.prepare(self.variant, self.given)
        if isinstance(prepared, Refusal):
            raise Declined(Refused(prepared.by, prepared.reasons, prepared.fix))
        return prepared

    def run(self, prepared: Prepared) -> tuple[Parity, float]:
        """Forward and backward held against the truth, and the seconds of the forward, waited for.

        To be called inside `prepared.around()`.

        Raises:
            Declined: The library has no kernel for it.
            Exception: Whatever else the library raises.
        """
        try:
            self.announce("forward")
            found, seconds = self.launch(prepared)
        except (RuntimeError, ValueError, AssertionError) as error:
            if isinstance(error, NotImplementedError) or NO_KERNEL.search(str(error)):
                said = str(error) or type(error).__name__
                raise Declined(Refused("library", (said,))) from error
            raise
        self.announce("reference")
        truth = known.truth(self.given.case)
        self.announce("verify")
        return judge(found, truth), seconds

    def launch(self, prepared: Prepared) -> tuple[dict[str, Tensor], float]:
        """Canonical output and gradients."""
        begin = perf_counter()
        native: Any = prepared.launch()
        self._wait()
        seconds = perf_counter() - begin
        found = {"out": prepared.layout.canonical("out", native)}
        if self.given.case.wants_backward:
            self.announce("backward")
            leaves = {name: t for name, t in prepared.leaves.items() if t.requires_grad}
            dout = prepared.layout.native("out", self.given.dout)
            given = prepared.differentiate(native, tuple(leaves.values()), dout)
            for name, gradient in zip(leaves, given, strict=True):
                if gradient is not None:
                    found |= self._apart(name, prepared.layout.canonical(name, gradient))
            self._wait()
        return {name: t.detach() for name, t in found.items()}, seconds

    def _apart(self, name: str, gradient: Tensor) -> dict[str, Tensor]:
        """Gradients of the canonical tensors that a leaf holds."""
        parts = name.split("+")
        sizes = [self.given.tensors[part].shape[0] for part in parts]
        pieces = torch.split(gradient, sizes) if len(parts) > 1 else (gradient,)
        return {f"d{part}": piece for part, piece in zip(parts, pieces, strict=True)}

    def _wait(self) -> None:
        if self.given.device.type == "cuda":
            torch.cuda.synchronize(self.given.device)

    @property
    def copying(self) -> Prepare[LayerInputs] | None:
        """How copies of the inputs are prepared; None where each would be compiled for anew."""
        if self.layer.compiles(self.variant):
            return None
        return lambda given: self.layer.prepare(self.variant, given)


def answer(trial: Trial, announce: Callable[[str], None]) -> Outcome:
    """What became of a trial whose case names a layer; `trial.backend` is the variant.

    Args:
        trial: What is asked: check, verdict, time, turn, or compare with `trial.rival`.
        announce: Called with the name of every phase that begins.
    """
    case, layer = trial.case, modules.load(trial.case.module)
    reasons = layer.problems(case)
    if trial.question not in QUESTIONS:
        reasons += (f"{trial.question} is asked of an attention call, not of a layer",)
    unknown = {trial.backend, trial.rival} - {"", *modules.variants(case.module)}
    if unknown:
        there = ", ".join(modules.variants(case.module))
        reasons += (f"{case.module} has no variant {', '.join(sorted(unknown))}; it has {there}",)
    if reasons:
        return Refused("attnprobe", reasons)
    lacking = room.missing(layer.estimate_bytes(case), case.device)
    if lacking:
        remembered.forget()
        lacking = room.missing(layer.estimate_bytes(case), case.device)
    if lacking:
        return Refused("memory", lacking)
    mine = Contestant(layer, trial.backend, known.inputs(case), announce)
    try:
        prepared = mine.prepare()
        with prepared.around():
            if trial.question == "turn":
                return _turn(trial, mine, prepared)
            parity, first_call_s = mine.run(prepared)
            found = Measured(prepared.form, parity)
            if trial.question == "time":
                return _timed(trial, mine, prepared, found, first_call_s)
        if trial.question != "compare":
            return found
        # outside: in the context of one variant torch's own choice would be that variant's kernel
        return replace(found, versus=_versus(trial, mine, prepared, parity))
    except Declined as declined:
        return declined.refused


def _timed(
    trial: Trial, mine: Contestant, prepared: Prepared, found: Measured, first_call_s: float
) -> Measured:
    seen = observe(prepared.launch, trial.case.device)
    foreign = unexpected(seen, mine.layer.kernels(mine.variant))
    found = replace(found, kernels=short(seen), unexpected_kernel=foreign)
    if found.parity is not None and found.parity.verdict == "fail":
        kinds = ", ".join(dict.fromkeys(failure.kind for failure in found.parity.failures))
        timing = Timing(withheld=(f"not timed: the result is wrong ({kinds})",))
        return replace(found, timing=timing)
    timing = measure(
        prepared,
        mine.given,
        trial.sampling,
        prepare=mine.copying,
        first_call_s=first_call_s,
        announce=mine.announce,
    )
    timing = replace(timing, notes=mine.layer.notes + timing.notes)
    return replace(found, timing=timing)


def _turn(trial: Trial, mine: Contestant, prepared: Prepared) -> Measured:
    """One of many short timings of a case that has been judged before."""
    mine.announce("forward")
    timing = turn(prepared, mine.given, trial.sampling, mine.copying, mine.announce)
    return Measured(prepared.form, timing=replace(timing, notes=mine.layer.notes + timing.notes))


def _versus(trial: Trial, mine: Contestant, prepared: Prepared, parity: Parity) -> Versus:
    """Against the rival, where both are right."""
    if parity.verdict == "fail":
        return Versus(trial.rival, withheld=("fwd: the result is wrong",))
    mine.announce("rival")
    other = replace(mine, variant=trial.rival, announce=lambda phase: None)
    try:
        theirs = other.prepare()
        with theirs.around():
            judged, _ = other.run(theirs)
    except Declined as declined:
        why_not = "; ".join(declined.refused.reasons)
        return Versus(trial.rival, withheld=(f"{trial.rival}: refused: {why_not}",))
    if judged.verdict == "fail":
        return Versus(trial.rival, withheld=(f"{trial.rival}: its result is wrong",))
    mine.announce("time")
    prepares = (mine.copying, other.copying)
    return versus(prepared, theirs, trial.rival, mine.given, trial.sampling, prepares)
