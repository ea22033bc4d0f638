"""Any interpreter can be diagnosed: bare, different, broken; a wrong one is one clear error."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from attnprobe.core.outcome import Crashed, Measured, Outcome, Raised
from attnprobe.errors import AttnprobeError, UnusableHost, UsageError
from attnprobe.worker.host import Answer, Worker
from tests.worker.conftest import DEEDS, MakeEnvironment, trial, with_torch

ANCIENT = f"""#!/bin/sh
exec {sys.executable} -c '
import runpy, sys
sys.version_info = (3, 9, 1, "final", 0)
runpy.run_path(sys.argv[1], run_name="__main__")
' "$@"
"""


def outcome(worker: Worker, deed: str) -> Outcome:
    return worker.trial(trial(deed), 30.0).outcome


def test_torch_alone_suffices(make_environment: MakeEnvironment) -> None:
    """An environment with torch and its requirements: none of ours is installed, and nothing gets in."""
    python = make_environment("bare", with_torch())
    probe = subprocess.run(
        [python, "-c", "import attnprobe"],
        capture_output=True,
        text=True,
        check=False,
        cwd=python.parent,
    )
    assert "No module named 'attnprobe'" in probe.stderr
    before = sorted(path.name for path in python.parents[1].rglob("*"))
    with Worker(str(python), entry=DEEDS) as worker:
        worker.require_torch()
        assert outcome(worker, "importable") == Measured("jinja2")  # torch requires it itself
        answer = worker.ask({"do": "facts"}, 60.0)
        assert isinstance(answer, Answer)
        assert worker.interpreter.executable == str(python)
    assert sorted(path.name for path in python.parents[1].rglob("*")) == before


def test_a_real_trial_runs_with_torch_alone(make_environment: MakeEnvironment) -> None:
    """Inputs, backend, reference and verdict need nothing but torch (not even numpy)."""
    with Worker(str(make_environment("bare", with_torch()))) as worker:
        assert isinstance(outcome(worker, "eager"), Measured)


def test_two_environments_keep_their_own_packages(make_environment: MakeEnvironment) -> None:
    """Each child sees its own environment's packages, and not the host's."""
    meta = "Metadata-Version: 2.1\nName: {}\nVersion: 1.0\n"
    seen = []
    for name in ("left", "right"):
        modules = {f"{name}-1.0.dist-info/METADATA": meta.format(name)}
        with Worker(str(make_environment(name, (), modules)), entry=DEEDS) as worker:
            seen.append(outcome(worker, "packages"))
    assert seen == [Measured("left"), Measured("right")]


def test_without_torch_the_child_still_answers(make_environment: MakeEnvironment) -> None:
    """Why torch is missing is known, trials are refused with it, and other questions are answered."""
    with Worker(str(make_environment("empty")), entry=DEEDS) as worker:
        with pytest.raises(UnusableHost) as refusal:
            worker.require_torch()
        assert "No module named 'torch'" in refusal.value.why
        assert outcome(worker, "ok") == Measured("said")
        answer = worker.ask({"do": "claims", "backends": ["eager"]}, 30.0)
        assert isinstance(answer, Answer)
        assert answer.data["kind"] == "raised"


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import os; os.abort()", "SIGABRT"),
        ("import os; os._exit(5)", "exit code 5"),
        ("import sys; sys.exit('no licence')", "SystemExit: no licence"),
        ("raise OSError('libcudart.so.12: cannot open shared object file')", "libcudart.so.12"),
        ("version = 1", "has no attribute '__version__'"),
    ],
)
def test_a_torch_that_ruins_its_import_is_a_fact(
    code: str, words: str, make_environment: MakeEnvironment
) -> None:
    """Even when importing torch kills the process: its end is known and children still start."""
    python = make_environment("broken", (), {"torch/__init__.py": code})
    with Worker(str(python), entry=DEEDS) as worker:
        assert words in worker.interpreter.torch_error
        assert outcome(worker, "ok") == Measured("said")


def test_a_torch_whose_import_never_ends_is_a_fact(make_environment: MakeEnvironment) -> None:
    """The start has a deadline of its own, and the stack says where it hung."""
    hang = {"torch/__init__.py": "import time; time.sleep(1000)"}
    with Worker(
        str(make_environment("hung", (), hang)), entry=DEEDS, start_deadline_s=2.0
    ) as worker:
        assert "did not end in time" in worker.interpreter.torch_error
        assert "torch/__init__.py" in worker.interpreter.torch_error
        assert outcome(worker, "ok") == Measured("said")


def test_importing_what_answers_trials_may_kill_the_child(
    make_environment: MakeEnvironment, tmp_path: Path
) -> None:
    """A death before the first request is an outcome of phase `import`."""
    entry = tmp_path / "deadly.py"
    entry.write_text("import os; os.abort()")
    with Worker(str(make_environment("empty")), entry=f"{entry}:answer") as worker:
        found = outcome(worker, "ok")
    assert isinstance(found, Crashed)
    assert (found.phase, found.signal) == ("import", "SIGABRT")


def test_an_entry_that_cannot_be_imported_says_so_in_every_trial(
    make_environment: MakeEnvironment,
) -> None:
    """An exception at import is an outcome too."""
    with Worker(str(make_environment("empty")), entry="attnprobe.nowhere:answer") as worker:
        found = outcome(worker, "ok")
    assert isinstance(found, Raised)
    assert (found.phase, found.type) == ("import", "ModuleNotFoundError")


def test_an_import_that_touches_cuda_forbids_forking(make_environment: MakeEnvironment) -> None:
    """A context does not survive a fork, so every child becomes a process of its own."""
    code = "__version__ = '0'\nclass cuda:\n    is_initialized = staticmethod(lambda: True)\n"
    code += "    synchronize = staticmethod(lambda: None)\n"
    python = make_environment("touched", (), {"torch/__init__.py": code})
    with Worker(str(python), entry=DEEDS) as worker:
        assert worker.interpreter.cuda_touched
        assert outcome(worker, "parent") == Measured(str(os.getpid()))


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/nowhere/python", "no such file"),
        ("no-such-command", "no such file"),
        ("/etc/passwd", "may not be executed"),
        ("/usr", "this is a folder"),
        ("/bin/ls", "not a usable Python"),
        ("/bin/true", "not a usable Python"),
    ],
)
def test_what_is_no_python_is_one_clear_error(path: str, words: str) -> None:
    """Exit 2, with the reason and what to give instead."""
    with pytest.raises(UsageError) as refusal:
        Worker(path).interpreter  # noqa: B018 - reading it starts the interpreter
    assert words in str(refusal.value)
    assert "--python" in str(refusal.value) or ".venv/bin/python" in refusal.value.fix


def test_a_file_the_system_cannot_execute_is_one_clear_error(tmp_path: Path) -> None:
    """Executable by its mode, by nothing else."""
    file = tmp_path / "python"
    file.write_bytes(b"\x7fELF nonsense")
    file.chmod(0o755)
    with pytest.raises(UsageError, match="cannot be started"):
        Worker(str(file)).interpreter  # noqa: B018 - reading it starts the interpreter


def test_an_old_python_is_named(tmp_path: Path) -> None:
    """The bootstrap tells the version before anything that an old interpreter could not read."""
    file = tmp_path / "python3.9"
    file.write_text(ANCIENT)
    file.chmod(0o755)
    with pytest.raises(UsageError, match=r"is Python 3\.9\.1"):
        Worker(str(file)).interpreter  # noqa: B018 - reading it starts the interpreter


def test_a_virtual_environment_given_as_a_folder_names_its_interpreter(
    make_environment: MakeEnvironment,
) -> None:
    """The most likely slip is answered with the path to give."""
    python = make_environment("folder")
    with pytest.raises(AttnprobeError) as refusal:
        Worker(str(python.parents[1]))
    assert str(python) in refusal.value.fix


def test_the_callers_folder_does_not_shadow_the_environment(
    make_environment: MakeEnvironment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file torch.py or json.py where the user stands is not what the child imports."""
    for name in ("torch.py", "json.py", "attnprobe.py"):
        (tmp_path / name).write_text("raise RuntimeError('shadowed')")
    monkeypatch.chdir(tmp_path)
    with Worker(str(make_environment("empty")), entry=DEEDS) as worker:
        assert "No module named 'torch'" in worker.interpreter.torch_error
        assert outcome(worker, "ok") == Measured("said")
