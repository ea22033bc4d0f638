"""What the views say: the claims that a reader acts on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from attnprobe.core.backend_fact import BackendFact, Claim
from attnprobe.core.outcome import (
    OUTCOME_KINDS,
    Crashed,
    Measured,
    Outcome,
    OutOfMemory,
    Raised,
    Refused,
    TimedOut,
)
from attnprobe.core.parity import Parity
from attnprobe.core.report import Report
from attnprobe.core.timing import Duration, Timing
from attnprobe.core.trial import Record, Trial
from attnprobe.report import compose, json_view, terminal
from attnprobe.report.compose import glyphs, reading
from attnprobe.report.compose.costs import Cost, fastest, ranked
from tests.golden import example

CASE = example.H200.records[0].trial.case
RIGHT, WRONG = Parity("pass", "fused"), Parity("fail", "fused")


def _timed(
    backend: str, milliseconds: float, parity: Parity = RIGHT, spread: float = 0.01
) -> Record:
    s = milliseconds * 1e-3
    both = Duration(s, s * (1 - spread), s * (1 + spread), 20)
    return Record(Trial(CASE, backend, "time"), Measured("", parity, Timing(fwd_bwd_s=both)))


def _checked(backend: str, outcome: Outcome) -> Record:
    return Record(Trial(CASE, backend), outcome)


def _text(report: Report) -> str:
    return " ".join(terminal.text(compose.full(report), 300).split())


@pytest.mark.parametrize(
    ("outcome", "state"),
    [
        (Measured("", RIGHT), glyphs.RIGHT),
        (Measured("", WRONG), glyphs.WRONG),
        (Measured("", Parity("no_power", "fused")), glyphs.NO_POWER),
        (Measured("", Parity("none", "fused")), glyphs.UNCHECKED),
        (Measured(""), glyphs.UNCHECKED),
        (Measured("", RIGHT, unexpected_kernel="math"), glyphs.REROUTED),
        (Measured("", WRONG, unexpected_kernel="math"), glyphs.WRONG),
        (Refused("library", ("no",)), glyphs.REFUSED),
        (Refused("memory", ("no",)), glyphs.REFUSED),
        (Refused("absent", ("no",)), glyphs.ABSENT),
        (Refused("broken", ("no",)), glyphs.BROKEN),
        (Raised("forward", "E", "m"), glyphs.BROKEN),
        (Crashed("forward", "SIGSEGV"), glyphs.BROKEN),
        (TimedOut("forward", 1.0), glyphs.BROKEN),
        (OutOfMemory("forward", "m"), glyphs.BROKEN),
    ],
)
def test_every_outcome_has_its_glyph(outcome: Outcome, state: glyphs.State) -> None:
    """Wrong is never shown as anything milder, and not compared is never shown as right."""
    assert glyphs.state(outcome) is state


def test_glyphs_differ_without_colour() -> None:
    """No two states share a glyph."""
    states = (*glyphs.LEGEND_ORDER, glyphs.NOT_ASKED)
    assert len({state.glyph for state in states}) == len(states)


@pytest.mark.parametrize(
    ("states", "folded"),
    [
        ((glyphs.RIGHT, glyphs.REFUSED), glyphs.PARTLY),
        ((glyphs.RIGHT, glyphs.RIGHT), glyphs.RIGHT),
        ((glyphs.RIGHT, glyphs.WRONG, glyphs.REFUSED), glyphs.WRONG),
        ((glyphs.RIGHT, glyphs.BROKEN), glyphs.BROKEN),
        ((glyphs.BROKEN, glyphs.WRONG), glyphs.WRONG),
        ((glyphs.NO_POWER, glyphs.REFUSED), glyphs.NO_POWER),
        ((glyphs.REFUSED, glyphs.ABSENT), glyphs.REFUSED),
        ((), glyphs.NOT_ASKED),
    ],
)
def test_a_folded_cell_shows_the_worst(
    states: tuple[glyphs.State, ...], folded: glyphs.State
) -> None:
    """One wrong dtype makes the cell wrong; right beside refused is partly right."""
    assert glyphs.fold(states) is folded


def test_a_false_claim_is_in_the_summary_with_its_reason_and_fix() -> None:
    """The first thing that a maintainer must know about such an installation."""
    text = " ".join(terminal.text(compose.info(example.H200), 300).split())
    assert (
        "xformers-cutlass, xformers-fa2, xformers-triton-splitk say: available. Launched: refused, "
        "xFormers wasn't build with CUDA support" in text
    )


def test_an_understated_claim_is_marked_too() -> None:
    """A backend that denies itself and runs contradicts its claim."""
    assert reading.contradicts(BackendFact("x", "p", "1", Claim(False), "runs"))
    assert not reading.contradicts(BackendFact("x", "p", "1", Claim(None), "refused"))


def test_a_sound_machine_is_called_sound() -> None:
    """The good news is a sentence of its own."""
    assert "Nothing wrong found: 2 backends run" in _text(example.SOUND)


def test_nothing_measured_is_not_called_sound() -> None:
    """An empty session proves nothing."""
    text = _text(example.EMPTY)
    assert "Nothing ran" in text
    assert "Nothing wrong found" not in text


def test_no_evidence_is_not_called_sound() -> None:
    """Trials without power do not count as right."""
    record = _checked("x", Measured("", Parity("no_power", "fused")))
    assert "Nothing wrong found" not in _text(Report(records=(record,)))


def test_an_interrupted_session_says_so_first() -> None:
    """The reader is warned before the first result."""
    text = _text(example.INTERRUPTED)
    assert text.index("did not finish") < text.index("Wrong results")


def test_a_missing_torch_is_the_verdict() -> None:
    """With the import's own words."""
    assert "torch cannot be imported, so nothing could be run: ImportError" in _text(
        example.TORCHLESS
    )


def test_a_wrong_backend_is_never_the_fastest() -> None:
    """It stands behind every right one, however fast."""
    slow, wrong = _timed("slow", 9.0), _timed("wrong", 1.0, WRONG)
    costs = [Cost(record.trial.case, record) for record in (wrong, slow)]
    assert fastest(costs) is costs[1]
    assert ranked(costs) == costs[::-1]
    assert "faster but wrong: wrong" in _text(Report(records=(wrong, slow)))


def test_no_winner_without_a_right_backend() -> None:
    """The table says none rather than the least wrong."""
    wrong = _timed("wrong", 1.0, WRONG)
    assert fastest([Cost(wrong.trial.case, wrong)]) is None


def test_overlapping_intervals_are_as_fast() -> None:
    """A difference inside the intervals is no difference."""
    text = _text(Report(records=(_timed("a", 1.0), _timed("b", 1.005))))
    assert "as fast: b" in text
    assert "as fast" not in _text(Report(records=(_timed("a", 1.0), _timed("b", 1.5))))


def test_a_fast_backend_that_is_wrong_elsewhere_says_so() -> None:
    """Right here is not right everywhere."""
    assert "wrong in other cases" in _text(example.H200)


def test_backends_that_are_not_installed_take_no_column() -> None:
    """They are named in one line instead."""
    blocks = compose.check(example.H200).blocks
    matrix = next(b for b in blocks if type(b).__name__ == "Matrix")
    assert "flash-attn-2" not in matrix.columns  # type: ignore[union-attr]


def test_a_reason_that_many_share_is_said_once() -> None:
    """Three xformers backends, nine cases and three dtypes make one row."""
    text = terminal.text(compose.check(example.H200), 300)
    rows = [
        line for line in text.split("\n") if "the library refuses: xFormers wasn't build" in line
    ]
    assert len(rows) == 1


def test_check_counts_every_trial_once() -> None:
    """The counts of a backend add up to its trials."""
    view = json_view.check(example.H200)
    assert sum(sum(counts.values()) for counts in view["summary"].values()) == len(view["trials"])


def test_json_has_the_keys_that_others_rely_on() -> None:
    """The contract of the JSON report."""
    view = json_view.full(example.H200)
    assert {"schema", "environment", "devices", "backends", "check", "profile"} <= view.keys()
    backend = {"name", "package", "version", "claim", "fact", "reasons", "fix"}
    assert all(backend <= each.keys() for each in view["backends"])
    counted = {"pass", "fail", "refused", "raised", "crashed", "timed_out", "out_of_memory"}
    assert all(counted <= counts.keys() for counts in view["check"]["summary"].values())
    trial = {
        "id",
        "backend",
        "case",
        "outcome",
        "verdict",
        "numerics_class",
        "quantities",
        "failures",
    }
    assert all(trial <= each.keys() for each in view["check"]["trials"])
    cost = {
        "fwd_s", "bwd_s", "fwd_bwd_s", "first_call_s", "peak_bytes", "floor_bytes", "tflops",
        "roofline_share", "kernels", "verdict",
    }  # fmt: skip
    assert all(cost <= each.keys() for each in view["profile"]["trials"])


def test_json_names_every_kind_of_outcome() -> None:
    """The example holds all six, and the view tells them apart."""
    kinds = {trial["outcome"]["kind"] for trial in json_view.check(example.H200)["trials"]}
    assert kinds == set(OUTCOME_KINDS)


def test_the_same_name_with_another_shape_is_another_row() -> None:
    """Cases that differ in more than dtype are not folded into one cell."""
    small = replace(CASE, name="self", dtype="bfloat16")
    large = small.edit(B=64)
    records = tuple(Record(Trial(c, "x"), Measured("", RIGHT)) for c in (small, large))
    matrix = next(b for b in compose.check(Report(records=records)).blocks if hasattr(b, "legend"))
    assert len(matrix.rows) == 2  # type: ignore[union-attr]
