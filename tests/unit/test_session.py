"""What is measured is kept; whatever a file holds, reading it ends in a report or one error."""

from __future__ import annotations

import contextlib
import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attnprobe import masks
from attnprobe.core.backend_fact import BackendFact, Claim
from attnprobe.core.case import Case, Lengths
from attnprobe.core.environment import Environment, Package
from attnprobe.core.outcome import (
    Crashed,
    Measured,
    Outcome,
    OutOfMemory,
    Raised,
    Refused,
    TimedOut,
)
from attnprobe.core.parity import Failure, Parity, Quantity
from attnprobe.core.report import Report
from attnprobe.core.score import Bias, Score
from attnprobe.core.timing import Duration, Timing
from attnprobe.core.trial import Record, Trial
from attnprobe.errors import Interrupted, SessionError, UsageError
from attnprobe.session import Journal, load, run
from attnprobe.session.lines import Header
from tests.fakes import FakeWorker

CASE = Case(2, 4, 2, 8, 12, 16, 16, mask=masks.parse("causal(align=bottom-right)"))
RICH = CASE.edit(
    lengths=Lengths((8, 3), (12, 0)), score=Score(softcap=30.0, bias=Bias(requires_grad=True))
)
PARITY = Parity(
    "fail",
    "fused",
    quantities={"out": Quantity("fail", math.inf, "element", 0.5, worst_index=(0, 1, 2, 3))},
    failures=(Failure("nonfinite", "3 NaN", "alignment"),),
)
OUTCOMES: tuple[Outcome, ...] = (
    Measured("dense", PARITY, Timing(fwd_s=Duration(1e-3, 9e-4, 2e-3, 30)), ("kernel",)),
    Refused("library", ("one", "two"), "upgrade"),
    Raised("forward", "RuntimeError", "</script>\x1b[31m", "file", sticky=True),
    Crashed("forward", "SIGSEGV", None, "tail"),
    TimedOut("verify", 3.0, "stack"),
    OutOfMemory("prepare", "no"),
)
ENVIRONMENT = Environment(
    "0.1", "3.12.0", "Linux", "CPU", 2, packages=(Package("torch", "2.11.0"),)
)


def trials(cases: int = 3) -> list[Trial]:
    return [Trial(CASE.edit(seed=n), name) for name in ("eager", "flex") for n in range(cases)]


def measured(trial: Trial) -> Outcome:
    return Measured(trial.backend)


def written(path: Path, count: int = 3) -> list[Trial]:
    """A complete session file of `2 * count` trials."""
    asked = trials(count)
    with Journal(Header(command="check", seed=7), path) as journal:
        run(asked, FakeWorker(measured), journal)
        journal.end()
    return asked


@pytest.mark.parametrize("outcome", OUTCOMES, ids=lambda o: o.kind)
def test_every_outcome_survives_the_file(outcome: Outcome, tmp_path: Path) -> None:
    """What is read is what was recorded: masks, infinities, lengths and nested unions included."""
    record = Record(Trial(RICH, "eager", "time"), outcome, {"forward": 0.5}, 3, OUTCOMES[3])
    with Journal(Header(), tmp_path / "s.jsonl") as journal:
        journal.record(record)
    assert load(tmp_path / "s.jsonl").records == (record,)


def test_the_report_of_a_journal_is_that_of_its_file(tmp_path: Path) -> None:
    """Views made from memory (a full disk) and from the file are the same."""
    path = tmp_path / "s.jsonl"
    with Journal(Header("info", "gpt2", 3), path) as journal:
        journal.environment(ENVIRONMENT)
        journal.backend(BackendFact("eager", "torch", "2.11.0", Claim(True), "runs"))
        run(trials(), FakeWorker(measured), journal)
        journal.note("a note")
        journal.end()
        assert load(path) == journal.report
    assert journal.report.complete


def test_trials_of_a_case_follow_each_other() -> None:
    """The child keeps one case's reference, so backends are the inner loop, whatever the order given."""
    worker = FakeWorker(measured)
    records = run(trials(), worker, Journal(Header()))
    assert [t.case.seed for t in worker.asked] == [0, 0, 1, 1, 2, 2]
    assert [r.trial for r in records] == trials()


def test_resume_runs_only_what_is_missing(tmp_path: Path) -> None:
    """Trials in the file are not run again, and their records are returned with the new ones."""
    path = tmp_path / "s.jsonl"
    written(path, 2)
    worker = FakeWorker(measured)
    with Journal(Header(), path, "resume") as journal:
        records = run(trials(3), worker, journal)
    assert sorted(t.case.seed for t in worker.asked) == [2, 2]
    assert [r.trial for r in records] == trials(3)


def test_a_session_that_goes_on_after_its_end_is_complete_only_at_the_next(tmp_path: Path) -> None:
    """A killed resumption is not taken for a finished run."""
    path = tmp_path / "s.jsonl"
    written(path, 1)
    with Journal(Header(), path, "resume") as journal:
        run(trials(2), FakeWorker(measured), journal)
    assert not load(path).complete


def test_a_torn_last_line_is_dropped_with_a_note_and_healed_on_resume(tmp_path: Path) -> None:
    """A line that was cut short costs its own trial and no other."""
    path = tmp_path / "s.jsonl"
    written(path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-2]) + lines[-2][:40])
    torn = load(path)
    assert len(torn.records) == 5
    assert not torn.complete
    assert "cut off" in torn.notes[0]
    with Journal(Header(), path, "resume") as journal:
        run(trials(), FakeWorker(measured), journal)
        journal.end()
    healed = load(path)
    assert (len(healed.records), healed.complete) == (6, True)
    assert "torn" in healed.notes[0]


def test_interrupting_keeps_everything_measured(tmp_path: Path) -> None:
    """Ctrl-C in the third trial: two records in the file, a note, exit code 130."""
    path, count = tmp_path / "s.jsonl", iter(range(10))

    def impatient(trial: Trial) -> Outcome:
        if next(count) == 2:
            raise KeyboardInterrupt
        return measured(trial)

    with Journal(Header(), path) as journal, pytest.raises(Interrupted) as stop:
        run(trials(), FakeWorker(impatient), journal)
    assert stop.value.exit_code == 130
    report = load(path)
    assert (len(report.records), report.complete) == (2, False)
    assert report.notes == ("interrupted after 2 of 6 trials",)


def test_a_budget_ends_the_run_and_says_so() -> None:
    """Trials beyond the budget are not begun; the note counts them."""
    journal = Journal(Header())
    assert run(trials(), FakeWorker(measured), journal, budget_s=0.0) == []
    assert journal.report.notes == ("6 of 6 trials not run: 0 s were over",)


def test_progress_counts_up_to_the_total() -> None:
    """Every record is told with its place and an estimate that ends at zero."""
    told: list[tuple[int, int, float]] = []
    run(
        trials(),
        FakeWorker(measured),
        Journal(Header()),
        lambda done, total, record, left: told.append((done, total, left)),
    )
    assert [(done, total) for done, total, _ in told] == [(n, 6) for n in range(1, 7)]
    assert told[-1][2] == 0.0


def test_a_full_disk_costs_no_record() -> None:
    """Writing fails, the session goes on in memory, and the journal says why the file is short."""
    journal = Journal(Header(), "/dev/full")
    records = run(trials(), FakeWorker(measured), journal)
    assert len(records) == len(journal.report.records) == 6
    assert "No space left" in journal.problem


def test_a_read_only_place_costs_no_record(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The same where the file cannot even be opened (made up, since root may write anywhere)."""

    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("attnprobe.session.journal.os.open", refuse)
    journal = Journal(Header(), tmp_path / "s.jsonl")
    assert "Permission denied" in journal.problem
    assert len(run(trials(), FakeWorker(measured), journal)) == 6


def test_a_disk_that_fills_up_leaves_whole_lines(tmp_path: Path) -> None:
    """A write that ends half-way is taken back: the file stays readable."""
    import resource
    import signal

    path = tmp_path / "s.jsonl"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2500, before[1]))
    try:
        with Journal(Header(), path) as journal:
            run(trials(), FakeWorker(measured), journal)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert journal.problem
    kept = load(path)
    assert 0 < len(kept.records) < 6
    assert kept.notes == ()


def test_two_runs_cannot_write_one_file(tmp_path: Path) -> None:
    """The second is told, and the first goes on undisturbed."""
    path = tmp_path / "s.jsonl"
    with Journal(Header(), path) as first:
        with pytest.raises(UsageError, match="another run"):
            Journal(Header(), path, "resume")
        run(trials(), FakeWorker(measured), first)
    assert len(load(path).records) == 6


def test_an_existing_session_is_not_overwritten_by_accident(tmp_path: Path) -> None:
    """New refuses, replace empties."""
    path = tmp_path / "s.jsonl"
    written(path)
    with pytest.raises(UsageError, match="exists"):
        Journal(Header(), path)
    Journal(Header(command="check"), path, "replace").close()
    assert load(path).records == ()


def test_resuming_in_another_environment_is_refused(tmp_path: Path) -> None:
    """Numbers of two torch versions never share a session."""
    path = tmp_path / "s.jsonl"
    with Journal(Header(), path) as journal:
        journal.environment(ENVIRONMENT)
    now = replace(ENVIRONMENT, packages=(Package("torch", "2.13.0"),))
    with Journal(Header(), path, "resume") as journal, pytest.raises(UsageError) as refusal:
        journal.environment(now)
    assert refusal.value.why == "torch: 2.11.0 before, 2.13.0 now"


HEADER = b'{"type": "header", "schema": "attnprobe/1"}\n'
NESTED = b'{"type": "note", "note": ' + b"[" * 100_000 + b"]" * 100_000 + b"}\n"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"\x00\xff\x80" * 1000, "not a session"),
        (b"\x89PNG\r\n\x1a\n", "not a session"),
        (b"[1, 2]\n", "not a session"),
        (b'{"type": "record"}\n', "not a session"),
        (b'{"schema": "attnprobe/one", "type": "header"}\n', "schema is unknown"),
        (b'{"schema": "attnprobe/2", "type": "header"}\n', "newer attnprobe"),
        (b"[" * 100_000, "not a session"),
        (b'{"type": "header", "seed": ' + b"9" * 5000 + b"}\n", "not a session"),
    ],
)
def test_what_is_no_session_is_one_clear_error(content: bytes, words: str, tmp_path: Path) -> None:
    """Exit 2, one line of printable characters that says what the file is instead."""
    path = tmp_path / "s\x1b[31m.jsonl"
    path.write_bytes(content)
    with pytest.raises(SessionError) as refusal:
        load(path)
    assert words in str(refusal.value)
    assert str(refusal.value).replace("\n", "").isprintable()


@pytest.mark.parametrize("path", ["/", "/dev/null", "/nowhere/s.jsonl", "a\0b"])
def test_what_is_no_file_is_one_clear_error(path: str) -> None:
    """Folders, devices, missing files and impossible names."""
    with pytest.raises(SessionError):
        load(path)


@pytest.mark.parametrize(
    "line",
    [
        b"nonsense\n",
        b'{"type": "unheard-of"}\n',
        b'{"type": "record", "record": {}}\n',
        b'{"type": "note", "note": "\\ud800"}\n',
        b'{"type": "end", "seconds": "soon"}\n',
        b'{"type": "note", "note": "' + b"x" * (17 * 2**20) + b'"}\n',
        NESTED,
        b"\xff\xfe\n",
        b"\n",
    ],
    ids=range(9),
)
def test_a_hostile_line_costs_only_itself(line: bytes, tmp_path: Path) -> None:
    """The lines around it are read, and a note says what was dropped and why."""
    path = tmp_path / "s.jsonl"
    note = b'{"type": "note", "note": "fine"}\n'
    path.write_bytes(HEADER + note + line + note + b'{"type": "end", "seconds": 1}\n')
    report = load(path)
    assert report.notes[-1] == "fine"
    assert report.notes[0].startswith("dropped line 3: ")
    assert report.notes[0].isprintable()
    assert report.complete


def test_records_that_no_run_could_have_made_are_dropped(tmp_path: Path) -> None:
    """Unknown masks, impossible cases and integers beyond 64 bits end as notes."""
    path = tmp_path / "s.jsonl"
    with Journal(Header(), path) as journal:
        journal.record(Record(Trial(CASE, "eager"), Measured("x")))
    header, line = path.read_text().splitlines()
    spoilt = [
        line.replace("causal(align=bottom-right)", "__import__(os)"),
        line.replace('"Hkv": 2', '"Hkv": 3'),
        line.replace('"K": 16', '"K": 1' + "0" * 30),
        line.replace('"K": 16', '"K": -1'),
        line.replace('"measured"', '"sung"'),
    ]
    assert line not in spoilt
    path.write_text("\n".join([header, *spoilt, line]) + "\n")
    report = load(path)
    assert len(report.records) == 1
    assert len(report.notes) == 5


@settings(max_examples=150, deadline=None)
@given(
    damage=st.lists(
        st.tuples(st.floats(0, 1), st.integers(0, 3), st.binary(max_size=4)), min_size=1, max_size=4
    )
)
def test_any_damage_ends_in_a_report_or_one_error(
    damage: list[tuple[float, int, bytes]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Flipped, cut and inserted bytes anywhere in a real session: never another exception."""
    path = tmp_path_factory.mktemp("damage") / "s.jsonl"
    written(path, 1)
    content = bytearray(path.read_bytes())
    for share, removed, inserted in damage:
        place = int(share * len(content))
        content[place : place + removed] = inserted
    path.write_bytes(content)
    with contextlib.suppress(SessionError):
        assert isinstance(load(path), Report)


def test_every_line_is_json_with_a_type(tmp_path: Path) -> None:
    """The form that others rely on: one object per line, the schema in the first."""
    path = tmp_path / "s.jsonl"
    written(path)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert lines[0]["schema"] == "attnprobe/1"
    assert [line["type"] for line in lines] == ["header", *["record"] * 6, "end"]
