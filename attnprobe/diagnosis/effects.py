"""What an experiment showed, in the terms of its prediction; or why it showed nothing."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import replace

from attnprobe.core import units
from attnprobe.core.diagnosis import Effect, Prediction, Quantity
from attnprobe.core.outcome import Measured, Refused
from attnprobe.core.timing import Duration, Ratio
from attnprobe.diagnosis.answers import Answers

Found = Effect | str
"""An effect, or why there is none."""


def effect(
    prediction: Prediction, treatment: Answers, control: Answers, in_turns: Ratio | None
) -> Found:
    """The effect of the pitfall.

    Args:
        prediction: Names the quantity.
        treatment: With the pitfall.
        control: Without.
        in_turns: Time of treatment over control from common rounds, if it was taken.
    """
    match prediction.quantity:
        case "time" | "wall" | "time-per-sequence":
            return _time(prediction.quantity, treatment, control, in_turns)
        case "memory":
            return _memory(treatment, control)
        case "first-call":
            return _first_call(treatment, control)
        case "wrong":
            return _wrong(treatment, control)
        case "refused":
            return _refused(prediction.of, treatment, control)
        case "kernel":
            return _kernel(prediction.of, treatment, control)
        case "value":
            return _value(prediction, treatment, control)


def _time(
    quantity: Quantity, treatment: Answers, control: Answers, in_turns: Ratio | None
) -> Found:
    there, here = treatment.clocked(quantity), control.clocked(quantity)
    if there is None or here is None:
        return _untimed(treatment, control, lambda side: side.duration is None)
    launch = None if quantity == "wall" else control.launch_s
    if in_turns is not None and quantity == "time":
        found = in_turns
        return Effect(
            found.low, found.median, found.high, there.median, here.median, launch_s=launch
        )
    seen = quotient(there, here)
    return replace(seen, launch_s=launch) if isinstance(seen, Effect) else seen


def quotient(there: Duration, here: Duration) -> Found:
    """Of two medians: the interval that holds whatever lies in both of theirs."""
    if min(here.low, there.low) <= 0:
        return "the clock does not resolve it"
    low, high = there.low / here.high, there.high / here.low
    return Effect(low, there.median / here.median, high, there.median, here.median)


def _memory(treatment: Answers, control: Answers) -> Found:
    there, here = treatment.peak, control.peak
    if treatment.does_not_fit and here is not None:
        said = f"it does not fit into the memory here; the control takes {units.size(here)}"
        return Effect(math.inf, math.inf, math.inf, None, here, said)
    if there is None or here is None:
        return _untimed(treatment, control, lambda side: side.peak is None)
    if here <= 0:
        return "the control takes no memory over its inputs"
    return Effect(there / here, there / here, there / here, there, here)


def _first_call(treatment: Answers, control: Answers) -> Found:
    there, here = _first(treatment), _first(control)
    if there is None or here is None or here <= 0:
        return _untimed(treatment, control, lambda side: _first(side) is None)
    return Effect(there / here, there / here, there / here, there, here)


def _first(side: Answers) -> float | None:
    return side.timing.first_call_s if side.timing else None


def _wrong(treatment: Answers, control: Answers) -> Found:
    for name, side in (("treatment", treatment), ("control", control)):
        if side.trouble:
            return f"the {name} did not run: {side.trouble}"
        if side.parity is None or side.parity.verdict in ("none", "no_power"):
            return f"nothing can be said of the {name}'s numbers"
    if control.wrong:
        return f"the control is wrong as well: {control.wrong}"
    return _seen(bool(treatment.wrong), treatment.wrong or "the result is right")


def _refused(expected: str, treatment: Answers, control: Answers) -> Found:
    if not treatment.outcomes:
        return "the treatment was not run"
    if control.trouble or not control.outcomes:
        return f"the control did not run: {control.trouble or 'it was not asked'}"
    if not treatment.trouble:
        return _seen(False, "it runs")
    ours = (o for o in treatment.outcomes.values() if isinstance(o, Refused))
    if any(o.by in ("attnprobe", "absent") for o in ours):
        return f"it could not be tried: {treatment.trouble}"
    if expected and not re.search(expected, treatment.trouble, re.IGNORECASE):
        return f"it fails for another reason: {treatment.trouble}"
    return _seen(True, _line(treatment.trouble, expected))


def _line(text: str, expected: str) -> str:
    """The line of a long refusal that says what was expected; all of it where none does."""
    lines = (line.strip() for line in text.splitlines())
    found = (line for line in lines if expected and re.search(expected, line, re.IGNORECASE))
    return next(found, text)


def _kernel(expected: str, treatment: Answers, control: Answers) -> Found:
    for name, side in (("treatment", treatment), ("control", control)):
        if side.trouble or not side.kernels:
            return f"the {name} did not run: {side.trouble or 'it was not asked'}"
    there = re.search(expected, treatment.kernels)
    if there and re.search(expected, control.kernels):
        return f"the control runs {there[0]} as well"
    return _seen(bool(there), f"runs {there[0]}" if there else "runs other kernels")


def _value(prediction: Prediction, treatment: Answers, control: Answers) -> Found:
    there, here = _said(prediction.of, treatment), _said(prediction.of, control)
    if there is None:
        return f"the treatment did not run: {treatment.trouble or 'it was not asked'}"
    if here is None:
        return f"the control did not run: {control.trouble or 'it was not asked'}"
    if prediction.low <= there <= prediction.high and prediction.low <= here <= prediction.high:
        return f"the control has {prediction.of} = {here:.3g} as well"
    return Effect(there, there, there, there, here, prediction.of)


def _said(name: str, side: Answers) -> float | None:
    found = side.outcomes.get("demonstrate")
    value = found.values.get(name) if isinstance(found, Measured) else None
    return None if value is None or math.isnan(value) else value


def _seen(seen: bool, words: str) -> Effect:
    number = float(seen)
    return Effect(number, number, number, words=words)


def _untimed(treatment: Answers, control: Answers, lacks: Callable[[Answers], bool]) -> str:
    """Why one side has no number."""
    name, side = ("treatment", treatment) if lacks(treatment) else ("control", control)
    if side.trouble:
        return f"the {name} did not run: {side.trouble}"
    if side.wrong:
        return f"the {name} is wrong, so that it is not timed: {side.wrong}"
    if side.timing is not None and side.timing.withheld:
        return f"the {name} has no number: {'; '.join(side.timing.withheld)}"
    return f"the {name} was not run"
