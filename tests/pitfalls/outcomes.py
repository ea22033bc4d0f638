"""Made-up outcomes of an experiment's trials that confirm, refute or leave open its prediction."""

from __future__ import annotations

import math
import re

from attnprobe.core.diagnosis import Arm, Prediction, Suspicion, Verdict
from attnprobe.core.outcome import Measured, Outcome, Raised
from attnprobe.core.parity import Failure, Parity
from attnprobe.core.timing import Duration, Ratio, Timing, Versus
from attnprobe.core.trial import Trial
from attnprobe.diagnosis.judge import TIMES

RIGHT = Parity("pass", "fused")
WRONG = Parity("fail", "fused", failures=(Failure("accuracy", "out is far off"),))
BROKEN = Raised("forward", "RuntimeError", "something else went wrong")


class Scripted:
    """Answers every trial of one suspicion so that `verdict` is the only fair judgement.

    Args:
        suspicion: Whose experiment is run.
        verdict: confirmed, refuted or inconclusive.
    """

    def __init__(self, suspicion: Suspicion, verdict: Verdict) -> None:
        assert suspicion.experiment is not None
        assert suspicion.prediction is not None
        self._experiment, self._prediction = suspicion.experiment, suspicion.prediction
        self._verdict = verdict

    def __call__(self, trial: Trial) -> Outcome:
        """The outcome of a trial."""
        treated = Arm(trial.case, trial.backend) == self._experiment.treatment
        match self._prediction.quantity:
            case "time" | "wall" | "time-per-sequence" | "memory" | "first-call":
                return self._timed(trial, treated)
            case "wrong":
                bad = (treated, self._verdict) in (
                    (True, "confirmed"),
                    (True, "inconclusive"),
                    (False, "inconclusive"),
                )
                return Measured("", WRONG if bad else RIGHT)
            case "refused":
                return self._refused(treated)
            case "kernel":
                shows = self._verdict == "inconclusive" or (
                    treated and self._verdict == "confirmed"
                )
                word = example(self._prediction.of) if shows else "zzz"
                return Measured("", RIGHT, _timing(1e-3, 0.0), kernels=(word,))
            case "value":
                return self._value(treated)

    def _timed(self, trial: Trial, treated: bool) -> Outcome:
        if self._verdict == "inconclusive" and self._prediction.quantity not in TIMES:
            return BROKEN if treated else Measured("", RIGHT, _timing(1e-3, 0.0))
        times, spread = {
            "confirmed": (inside(self._prediction), 0.001),
            "refuted": (self._prediction.low * 0.9, 0.001),
            "inconclusive": (self._prediction.low, 0.05),
        }[self._verdict]
        if trial.rival:
            ratio = Ratio(times, times * (1 - spread), times * (1 + spread), 20)
            return Measured("", RIGHT, versus=Versus(trial.rival, ratio, ratio, ratio))
        factor = times if treated else 1.0
        if self._prediction.quantity == "time-per-sequence":
            factor *= trial.case.B
        return Measured("", RIGHT, _timing(1e-3 * factor, spread))

    def _refused(self, treated: bool) -> Outcome:
        fails = treated if self._verdict == "confirmed" else not treated
        if self._verdict == "refuted" or not fails:
            return Measured("", RIGHT)
        return Raised("forward", "RuntimeError", example(self._prediction.of) or "no")

    def _value(self, treated: bool) -> Outcome:
        within, outside = inside(self._prediction), _outside(self._prediction)
        shows = self._verdict == "inconclusive" or (treated and self._verdict == "confirmed")
        return Measured("", values={self._prediction.of: within if shows else outside})


def _timing(seconds: float, spread: float) -> Timing:
    taken = Duration(seconds, seconds * (1 - spread), seconds * (1 + spread), 100, 20)
    peak = round(seconds * 1e12)
    return Timing(taken, taken, taken, first_call_s=seconds, peak_bytes=peak)


def inside(prediction: Prediction) -> float:
    """A number that the prediction names, away from its ends."""
    if prediction.low <= 0 or math.isinf(prediction.high):
        return (
            prediction.low + 1.0
            if math.isinf(prediction.high)
            else (prediction.low + prediction.high) / 2
        )
    return math.sqrt(prediction.low * prediction.high)


def _outside(prediction: Prediction) -> float:
    return prediction.low - 1.0 if math.isinf(prediction.high) else prediction.high + 1.0


def example(pattern: str) -> str:
    """A text that a simple regular expression matches: its first alternative, plain."""
    first = pattern.split("|")[0]
    text = re.sub(r"\.[*+]\??", "", first.replace(r"\b", "")).replace("\\", "").strip("^$()?")
    assert not pattern or re.search(pattern, text, re.IGNORECASE), (
        f"write {pattern!r} so that its first alternative is plain text"
    )
    return text
