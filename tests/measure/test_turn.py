"""A turn: one median per pass, soon, and nothing that was asked before."""

from __future__ import annotations

import pytest

from attnprobe.core.case import Case
from attnprobe.core.outcome import Measured, Refused
from attnprobe.core.sampling import Sampling
from attnprobe.core.trial import Trial
from attnprobe.device.answer import answer

CASE = Case(1, 2, 2, 64, 64, 16, 16, dtype="float32")
SHORT = Sampling(budget_s=0.02)


def turned(case: Case, backend: str, sampling: Sampling = SHORT):
    phases: list[str] = []
    return answer(Trial(case, backend, "turn", sampling), phases.append), phases


@pytest.mark.parametrize(
    ("passes", "timed"),
    [("fwd", {"fwd_s"}), ("bwd", {"bwd_s"}), ("fwd+bwd", {"fwd_s", "bwd_s", "fwd_bwd_s"})],
)
def test_every_pass_of_the_case_has_its_median(passes, timed):
    """One turn with the passes that the case asks for, in seconds."""
    outcome, phases = turned(CASE.edit(passes=passes), "sdpa-math")
    (turn,) = outcome.timing.turns
    fields = ("fwd_s", "bwd_s", "fwd_bwd_s")
    assert {name for name in fields if getattr(turn, name) is not None} == timed
    assert all(0 < getattr(turn, name) < 1 for name in timed)
    assert phases == ["prepare", "forward", "time"]


def test_nothing_else_is_asked():
    """No verdict, no reference, no memory, no limit of the device."""
    outcome, _ = turned(CASE, "sdpa-math")
    assert isinstance(outcome, Measured)
    assert outcome.parity is None
    assert (outcome.timing.peak_bytes, outcome.timing.rates) == (None, None)


def test_the_cache_is_as_asked():
    """Warm turns for a warm trial."""
    outcome, _ = turned(CASE, "sdpa-math", Sampling(budget_s=0.02, warm=True))
    assert outcome.timing.cache.startswith("warm (one set")


def test_a_layer_takes_turns_too():
    """A variant of a layer, as a backend of a call."""
    outcome, _ = turned(CASE.edit(module="input-projection"), "separate")
    assert isinstance(outcome, Measured), outcome
    assert outcome.timing.turns[0].fwd_bwd_s


def test_a_refusal_is_a_refusal():
    """What cannot run takes no turn."""
    outcome, _ = turned(CASE, "varlen")
    assert isinstance(outcome, Refused)
