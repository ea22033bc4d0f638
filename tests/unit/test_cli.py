"""The command line as a user meets it: start-up, errors, exit codes, streams."""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from attnprobe import cli
from attnprobe.cli import crash, output
from attnprobe.errors import AttnprobeError, SessionError, UnusableHost, UsageError


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "attnprobe", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        timeout=60,
        check=False,
    )


def code_of(arguments: Sequence[str]) -> object:
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    return ended.value.code


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], None]], None]:
    """Makes `attnprobe profiles` do something else."""

    def become(code: Callable[[], None]) -> None:
        monkeypatch.setattr(cli, "_code", lambda name: code)

    return become


def raising(error: BaseException) -> Callable[[], None]:
    def code() -> None:
        raise error

    return code


def test_help_names_every_command():
    """`attnprobe --help` lists all commands with a sentence each, and costs no heavy import."""
    listed = run("--help").stdout
    assert all(re.search(rf"^  {name}  ", listed, re.MULTILINE) for name in cli.COMMANDS)


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_explains_itself(name: str):
    """`attnprobe COMMAND --help` shows usage and options."""
    shown = run(name, "--help")
    assert shown.returncode == 0, shown.stderr
    assert f"attnprobe {name}" in shown.stdout


def cpu_seconds(*command: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *command], capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_help_starts_within_a_quarter_of_a_second():
    """`attnprobe --help` costs at most 0.25 s of CPU time over an empty Python."""
    empty = min(cpu_seconds("-c", "pass") for _ in range(5))
    full = min(cpu_seconds("-m", "attnprobe", "--help") for _ in range(5))
    assert full - empty < 0.25


@pytest.mark.parametrize("module", ["torch", "rich", "pydantic", "yaml", "jinja2", "numpy"])
def test_help_imports_nothing_heavy(module: str):
    """What only a command needs is imported by that command."""
    code = (
        "import sys\nfrom attnprobe.cli import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        f"print('loaded' if {module!r} in sys.modules else 'absent')"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.splitlines()[-1] == "absent"


def test_an_unknown_command_gets_the_nearest():
    """A typing error exits 2 and names the command that was meant."""
    wrong = run("profils")
    assert wrong.returncode == 2
    assert "profiles" in wrong.stderr


def test_an_unknown_option_is_bad_usage():
    """A wrong option exits 2 without a traceback."""
    wrong = run("profiles", "--nonsense")
    assert wrong.returncode == 2
    assert "Traceback" not in wrong.stderr


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("no", "because", "do that"), 2),
        (SessionError("no", "because", "do that"), 2),
        (UnusableHost("no", "because", "do that"), 3),
        (AttnprobeError("no", "because", "do that"), 4),
    ],
)
def test_an_error_says_what_why_and_how(
    error: AttnprobeError, code: int, command: Callable, capsys: pytest.CaptureFixture[str]
):
    """Every error family has its exit code; its three parts go to stderr, nothing to stdout."""
    command(raising(error))
    assert code_of(["profiles"]) == code
    shown = capsys.readouterr()
    assert shown.err == "error: no\nwhy: because\nfix: do that\n"
    assert shown.out == ""


def test_a_bug_leaves_a_file_instead_of_a_traceback(
    command: Callable, capsys: pytest.CaptureFixture[str], monkeypatch, tmp_path: Path
):
    """An unknown exception exits 4; the traceback is in a file, and the message says where."""
    monkeypatch.setattr(crash.tempfile, "tempdir", str(tmp_path))
    monkeypatch.delenv("ATTNPROBE_DEBUG", raising=False)
    command(raising(RuntimeError("boom")))
    assert code_of(["profiles"]) == 4
    shown = capsys.readouterr().err
    (saved,) = tmp_path.iterdir()
    assert "Traceback" not in shown
    assert str(saved) in shown
    assert "RuntimeError: boom" in saved.read_text()


def test_a_bug_on_a_full_disk_is_still_one_message(
    command: Callable, capsys: pytest.CaptureFixture[str], monkeypatch, tmp_path: Path
):
    """When the traceback cannot be saved the user learns how to see it."""
    monkeypatch.setattr(crash.tempfile, "tempdir", str(tmp_path / "absent"))
    monkeypatch.delenv("ATTNPROBE_DEBUG", raising=False)
    command(raising(RuntimeError("boom")))
    assert code_of(["profiles"]) == 4
    assert "ATTNPROBE_DEBUG=1" in capsys.readouterr().err


def test_debugging_shows_the_traceback(
    command: Callable, capsys: pytest.CaptureFixture[str], monkeypatch
):
    """ATTNPROBE_DEBUG=1 prints it, and the exit code stays 4."""
    monkeypatch.setenv("ATTNPROBE_DEBUG", "1")
    command(raising(RuntimeError("boom")))
    assert code_of(["profiles"]) == 4
    assert "Traceback" in capsys.readouterr().err


def test_an_interrupt_exits_130(command: Callable):
    """Ctrl-C is neither a bug nor a verdict."""
    command(raising(KeyboardInterrupt()))
    assert code_of(["profiles"]) == 130


def test_a_reader_who_has_seen_enough_is_no_error():
    """`attnprobe profiles check-quick | head -1` ends quietly with the exit code of the command."""
    code = f"{sys.executable} -m attnprobe profiles check-quick | true; echo ${{PIPESTATUS[0]}}"
    shown = subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout == "0\n"
    assert "Broken" not in shown.stderr


def test_results_go_to_stdout_and_advice_to_stderr():
    """`profiles NAME > mine.yaml` gives a file that is a workload and nothing else."""
    shown = run("profiles", "check-quick")
    assert shown.stdout == (Path("profiles") / "check-quick.yaml").read_text()
    assert shown.stderr.startswith("next: attnprobe check check-quick")


def test_a_result_that_cannot_be_written_is_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """No measurement is lost to a read-only folder or a full disk: it goes to stdout, exit code 3."""
    obstacle = tmp_path / "file"
    obstacle.write_text("")
    with pytest.raises(UnusableHost, match="stdout"):
        output.save({obstacle / "report.md": "the result"})
    assert capsys.readouterr().out == "the result\n"
