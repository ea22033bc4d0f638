"""`attnprobe repro` as it is used, and what a session from a stranger may do to a script: nothing."""

from __future__ import annotations

import ast
import itertools
import json
from pathlib import Path

import pytest

from attnprobe import cli, masks, repro
from attnprobe.core.case import Case
from attnprobe.core.outcome import Crashed, Measured, Raised, Refused
from attnprobe.core.parity import Failure, Parity, Quantity, Spot
from attnprobe.core.report import Report
from attnprobe.core.trial import Record, Trial
from attnprobe.errors import UsageError
from attnprobe.session.journal import Journal
from attnprobe.session.lines import Header

CASE = Case(2, 2, 2, 9, 9, 8, 8, dtype="float32", mask=masks.parse("causal(align=top-left)"))
WRONG = Measured(
    "is_causal=True",
    Parity(
        "fail",
        "fused_tc",
        quantities={
            "out": Quantity("fail", 5.0, "element", 0.1, spot=Spot("0, 1, 2, 3", 0.5, 0.1))
        },
        failures=(Failure("accuracy", "out is off"),),
    ),
)
RIGHT = Measured("", Parity("pass", "fused_tc"))


@pytest.fixture
def session(tmp_path: Path) -> Path:
    path = tmp_path / "session.jsonl"
    with Journal(Header("check"), path) as journal:
        journal.record(Record(Trial(CASE, "sdpa-math"), WRONG))
        journal.record(Record(Trial(CASE, "sdpa-flash"), RIGHT))
        journal.end()
    return path


def code_of(*arguments: object) -> object:
    with pytest.raises(SystemExit) as ended:
        cli.main([str(argument) for argument in arguments])
    return ended.value.code


def test_a_layer_has_no_script(tmp_path: Path, capsys):
    """Said in words, before anything is made smaller."""
    path, trial = tmp_path / "session.jsonl", Trial(CASE.edit(module="swiglu"), "packed")
    with Journal(Header("profile"), path) as journal:
        journal.record(Record(trial, WRONG))
        journal.end()
    assert code_of("repro", path, trial.id) == 2
    assert "no script is written of a whole layer (swiglu)" in capsys.readouterr().err


def test_a_script_goes_to_stdout_or_a_file(session: Path, tmp_path: Path, capsys):
    """The beginning of the id is enough; both ways give the same valid Python."""
    trial = Trial(CASE, "sdpa-math").id
    assert code_of("repro", session, trial[:6], "--no-shrink") == 0
    text = capsys.readouterr().out
    ast.parse(text)
    assert trial in text
    assert code_of("repro", session, trial, "--no-shrink", "-o", tmp_path / "r.py") == 0
    assert (tmp_path / "r.py").read_text() == text
    assert "python " in capsys.readouterr().err


def test_a_trial_that_passed_needs_asking(session: Path, capsys):
    """It is said that there is nothing to reproduce; --anyway writes the script."""
    trial = Trial(CASE, "sdpa-flash").id
    assert code_of("repro", session, trial) == 2
    assert "passed: there is nothing to reproduce" in capsys.readouterr().err
    assert code_of("repro", session, trial, "--anyway") == 0
    assert "SDPBackend.FLASH_ATTENTION" in capsys.readouterr().out


def test_an_unknown_trial_gets_the_nearest(session: Path, capsys):
    """A typing error in an id exits 2 and names the ids that are near."""
    trial = Trial(CASE, "sdpa-math").id
    assert code_of("repro", session, f"{trial[:8]}zzzz") == 2
    assert trial in capsys.readouterr().err


def test_an_ambiguous_id_names_its_trials(session: Path, capsys):
    """No digits match both."""
    records = tuple(Record(Trial(CASE.edit(seed=n), "eager"), WRONG) for n in range(40))
    first = sorted(r.trial.id[0] for r in records)
    twice = next(a for a, b in itertools.pairwise(first) if a == b)
    with pytest.raises(UsageError, match="trials begin with"):
        repro.find(Report(records=records), twice)


@pytest.mark.slow
def test_a_case_that_is_right_here_is_not_shrunk(session: Path, capsys):
    """The script keeps the case, and says that this machine does not show the outcome."""
    assert code_of("repro", session, Trial(CASE, "sdpa-math").id) == 0
    shown = capsys.readouterr()
    assert "here the same trial ends otherwise: measured pass" in " ".join(shown.out.split())
    assert "Mq, Mkv, K, Kv = 2, 2, 2, 9, 9, 8, 8" in shown.out


def test_what_attnprobe_cannot_say_has_no_script():
    """There was no call, so there is nothing to write down."""
    record = Record(Trial(CASE, "sdpa-flash"), Refused("attnprobe", ("no word for it",)))
    with pytest.raises(UsageError, match="no call of sdpa-flash"):
        repro.write(record, Report(records=(record,)))


EVIL = '"""\nimport os\nos.system("echo owned")\n"""\\'


@pytest.mark.parametrize(
    "record",
    [
        Record(Trial(CASE, "sdpa-math"), Raised("forward", EVIL, EVIL, EVIL)),
        Record(Trial(CASE, "sdpa-math"), Crashed("forward", EVIL, None, EVIL)),
        Record(Trial(CASE, f"{EVIL}.py:{EVIL}"), Raised("forward", "E", "m")),
        Record(Trial(CASE, f"{EVIL}:f"), Raised("forward", "E", "m")),
        Record(
            Trial(CASE, "sdpa-math"),
            Measured(
                "",
                Parity(
                    "fail",
                    EVIL,
                    quantities={
                        "out": Quantity(
                            "fail", 5.0, "element", 0.1, spot=Spot("0]; os.system('x'); a[0", 1, 1)
                        ),
                        f"dq{EVIL}": Quantity("fail", 5.0, "element", 0.1),
                    },
                    failures=(Failure(EVIL, EVIL, EVIL),),
                ),
            ),
        ),
    ],
    ids=["raised", "crashed", "file", "module", "parity"],
)
def test_a_hostile_session_puts_no_code_into_a_script(record: Record):
    """Every string ends in the docstring or in a literal; nothing of it is a statement."""
    tree = ast.parse(repro.write(record, Report(records=(record,))))
    code = [ast.unparse(node) for node in tree.body[1:]]
    for text in code:
        for node in ast.walk(ast.parse(text)):
            assert not (isinstance(node, ast.Attribute) and node.attr == "system"), text


@pytest.mark.parametrize("field", ["dtype", "device", "family", "layout", "mask_form"])
def test_a_hostile_case_is_refused(field: str):
    """Words that would be written as code must be known ones."""
    record = Record(Trial(CASE.edit(**{field: EVIL}), "sdpa-math"), WRONG)
    with pytest.raises(UsageError):
        repro.write(record, Report(records=(record,)))


def test_the_environment_is_told_and_redacted(session: Path, capsys):
    """Nobody's home or name is in a script, whatever the session holds."""
    lines = session.read_text().splitlines()
    record = json.loads(lines[1])
    home = Path.home()
    record["record"]["trial"]["backend"] = f"{home}/secret/kernel.py:mine"
    session.write_text("\n".join([lines[0], json.dumps(record), *lines[2:]]) + "\n")
    found = next(
        line.split()[0] for line in _listing(session).splitlines() if "kernel.py:mine" in line
    )
    assert code_of("repro", session, found, "--no-shrink") == 0
    text = capsys.readouterr().out
    assert '"~/secret/kernel.py"' in text
    assert f"{home}/" not in text


def _listing(session: Path) -> str:
    """All trials as the command sees them: an id covers the redacted name of the backend."""
    from attnprobe import session as sessions
    from attnprobe.redact import Identity, redact

    report = redact(sessions.load(session), Identity.of_this_host())
    return "\n".join(f"{r.trial.id} {r.trial.backend}" for r in report.records)
