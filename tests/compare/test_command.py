"""`attnprobe compare` as a user runs it: two files, a view, an exit code."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from attnprobe.cli import main
from attnprobe.core.outcome import Outcome
from attnprobe.core.report import Report
from attnprobe.session.journal import Journal
from attnprobe.session.lines import Header
from tests.compare.sessions import REFUSED, WRONG, environment, measured, report


def written(path: Path, content: Report) -> str:
    """The session as a file."""
    with Journal(Header("report", "w", content.seed), path) as journal:
        if content.environment:
            journal.environment(content.environment)
        for record in content.records:
            journal.record(record)
        journal.end()
    return str(path)


@pytest.fixture
def files(tmp_path: Path):
    """Writes OLD and NEW, one trial each, and gives their names."""

    def two(old: Outcome, new: Outcome, **changes) -> tuple[str, str]:
        return (
            written(tmp_path / "old.jsonl", report({"flash": old})),
            written(tmp_path / "new.jsonl", report({"flash": new}, **changes)),
        )

    return two


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as left:
        main(["compare", *arguments])
    return int(left.value.code or 0)


def test_nothing_worse_is_zero(files, capsys):
    """Faster is no regression."""
    assert run(*files(measured(1e-3), measured(0.8e-3))) == 0
    assert "faster in 1 of 1 time: -20%" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("new", "kind"),
    [
        (measured(1.2e-3), "slower"),
        (measured(parity=WRONG), "wrong"),
        (REFUSED, "refused"),
        (measured(peak_bytes=2**30), "memory"),
    ],
)
def test_what_is_worse_decides_the_exit_code(files, new, kind):
    """1 by default and for its own kind, 0 for another kind and for none."""
    two = files(measured(1e-3), new)
    other = "broken"
    assert run(*two) == 1
    assert run(*two, "--fail-on", kind) == 1
    assert run(*two, "--fail-on", other, "--fail-on", kind) == 1
    assert run(*two, "--fail-on", other) == 0
    assert run(*two, "--fail-on", "none") == 0


def test_json_is_one_document(files, capsys):
    """`--json -` leaves nothing else on stdout; the keys are those of the README."""
    assert run(*files(measured(1e-3), measured(1.2e-3)), "--json", "-") == 1
    view = json.loads(capsys.readouterr().out)
    assert view["command"] == "compare"
    assert view["summary"]["times"] == {"faster": 0, "slower": 1, "indistinguishable": 0}
    speed = view["trials"][0]["times"]["fwd_s"]
    assert speed["verdict"] == "slower"
    assert speed["low"] < speed["ratio"] < speed["high"]


def test_a_ticket_is_markdown(files, capsys, tmp_path):
    """--format md prints it, -o keeps it."""
    two = files(measured(), measured(1.2e-3))
    run(*two, "--format", "md")
    shown = capsys.readouterr().out
    assert shown.startswith("## attnprobe compare")
    run(*two, "--format", "md", "-o", str(tmp_path / "ticket.md"))
    assert (tmp_path / "ticket.md").read_text() == shown


def test_a_torn_session_is_compared(files, capsys):
    """What is left of it is used, and its loss named."""
    old, new = files(measured(), measured())
    content = Path(new).read_bytes()
    Path(new).write_bytes(content[:-30])
    assert run(old, new) == 0
    assert "NEW did not finish" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--fail-on", "faster"), "none of wrong, broken, refused, slower, memory, any, none"),
        (("--format", "pdf"), "none of text, md, html"),
        (("--rename", "flash"), "is not OLD=NEW"),
    ],
)
def test_bad_options_are_one_message(files, capsys, arguments, words):
    """Exit 2, and what would be allowed."""
    assert run(*files(measured(), measured()), *arguments) == 2
    assert words in " ".join(capsys.readouterr().err.replace("│", " ").split())


def test_a_file_that_is_no_session_is_named(files, capsys, tmp_path):
    """Exit 2 for a file that is absent, or another thing."""
    old, _ = files(measured(), measured())
    other = tmp_path / "notes.txt"
    other.write_text("hello\n")
    assert run(old, str(other)) == 2
    assert "notes.txt' is not a session" in capsys.readouterr().err
    assert run(old, str(tmp_path / "absent.jsonl")) == 2


def test_other_devices_need_to_be_asked_for(files, capsys):
    """Exit 2 with both names; --across-devices goes on."""
    gpu = environment().gpus[0]
    other = environment(gpus=(type(gpu)(0, "", "NVIDIA B200"),))
    two = files(measured(), measured(), environment=other)
    assert run(*two) == 2
    assert "OLD measured NVIDIA H200, NEW measured NVIDIA B200" in capsys.readouterr().err
    assert run(*two, "--across-devices") == 0


def test_torch_is_not_needed(files, monkeypatch):
    """The comparison is made where torch cannot be imported."""
    monkeypatch.setitem(sys.modules, "torch", None)
    assert run(*files(measured(), measured())) == 0
