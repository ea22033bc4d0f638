"""Commands that measure, run as a user runs them: real children on the CPU, few and small trials."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from attnprobe import session

pytest.importorskip("torch")

CALLABLES = """
import torch

def right(query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None,
          enable_gqa=False):
    return torch.nn.functional.scaled_dot_product_attention(
        query, key, value, attn_mask, dropout_p, is_causal, scale=scale, enable_gqa=enable_gqa)

def doubled(query, key, value, *rest, **options):
    return 2 * right(query, key, value, *rest, **options)
"""

TINY = """
name: tiny
source: a test
cases: [{name: self, Hq: 2, Mq: 16, K: 8, dtype: float32}]
"""

FEW = ("--mask", "none", "--dtype", "fp32")


def attnprobe(
    *arguments: str | Path, cwd: Path, python: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *python, "-m", "attnprobe", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"},
        timeout=120,
        check=False,
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a user's kernels and a user's workload."""
    folder = tmp_path_factory.mktemp("user")
    (folder / "kernels.py").write_text(CALLABLES)
    (folder / "tiny.yaml").write_text(TINY)
    return folder


@pytest.fixture(scope="module")
def reported(place: Path) -> subprocess.CompletedProcess[str]:
    """One `attnprobe report`, with one backend and one small case to time."""
    backend = ("--backend", "sdpa-math", "--budget", "30")
    return attnprobe("report", "tiny.yaml", "-o", "out", *backend, "--device", "cpu", cwd=place)


def test_a_right_callable_passes(place: Path):
    """Exit 0, and its verdicts are in the JSON, which is all that stdout holds."""
    done = attnprobe("check", "--backend", "kernels.py:right", *FEW, "--json", "-", cwd=place)
    assert done.returncode == 0, done.stderr
    view = json.loads(done.stdout)
    assert view["schema"] == "attnprobe/1"
    assert {trial["verdict"] for trial in view["trials"]} == {"pass"}


def test_a_wrong_callable_fails_the_run(place: Path):
    """Exit 1, and the text names it."""
    done = attnprobe("check", "--backend", "kernels.py:doubled", *FEW, cwd=place)
    assert done.returncode == 1
    assert "kernels.py:doubled is wrong" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--backend", "kernels.py:absent"), "kernels.py:absent"),
        (("--backend", "nowhere.py:f"), "nowhere.py"),
        (("--backend", "sdpa-flsh"), "sdpa-flash"),
        (("--mask", "cauzal"), "causal"),
        (("--python", "/nowhere/python"), "/nowhere/python"),
        (("--level", "fast"), "quick"),
        (("--resume",), "--session"),
        (("nosuch",), "check-quick"),
    ],
)
def test_bad_input_is_one_message(place: Path, arguments: tuple[str, ...], words: str):
    """Exit 2, what was meant or what is wrong, and no traceback."""
    done = attnprobe("check", *arguments, cwd=place)
    assert done.returncode == 2, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_an_interrupt_keeps_what_was_measured(place: Path):
    """Ctrl-C exits 130; the session holds what was done, and --resume runs only the rest."""
    file = place / "interrupted.jsonl"
    arguments = ["check", "tiny.yaml", "--backend", "kernels.py:right", "--session", str(file)]
    slow = place / "slow.py"
    slow.write_text(
        CALLABLES
        + "\ndef slow(*a, **k):\n    import time; time.sleep(30)\n    return right(*a, **k)\n"
    )
    command = [sys.executable, "-m", "attnprobe", *arguments, "--backend", "slow.py:slow"]
    running = subprocess.Popen(
        command,
        cwd=place,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    until = time.monotonic() + 60
    while '"type": "record"' not in (file.read_text() if file.exists() else ""):
        assert time.monotonic() < until
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=30)
    assert running.returncode == 130
    assert "--resume" in said
    before = session.load(file)
    assert (len(before.records), before.complete) == (1, False)
    resumed = attnprobe(*arguments, "--resume", cwd=place)
    assert resumed.returncode == 0, resumed.stderr
    assert session.load(file).records[0] == before.records[0]


def test_a_report_is_four_files(place: Path, reported: subprocess.CompletedProcess[str]):
    """report.md, report.html, report.json, session.jsonl; a screen of summary; what to do with them."""
    assert reported.returncode == 0, reported.stdout + reported.stderr
    names = {path.name for path in (place / "out").iterdir()}
    assert names == {"report.md", "report.html", "report.json", "session.jsonl"}
    assert len(reported.stdout.splitlines()) < 60
    assert "report.md" in reported.stderr


def test_a_report_fits_an_issue(place: Path, reported: subprocess.CompletedProcess[str]):
    """Markdown under GitHub's limit of 65,536 characters, with the timed case in it."""
    text = (place / "out" / "report.md").read_text()
    assert len(text) < 65_536
    assert "self" in text


def test_a_report_does_not_say_whose_machine_it_is(
    place: Path, reported: subprocess.CompletedProcess[str]
):
    """No host name and no home folder in any of the four files."""
    secrets = {socket.gethostname(), str(Path.home())} - {"localhost", "/"}
    for path in (place / "out").iterdir():
        text = path.read_text()
        assert [secret for secret in secrets if secret in text] == [], path.name


def test_a_report_times_only_with_a_verdict(
    place: Path, reported: subprocess.CompletedProcess[str]
):
    """The timed trial carries parity of that very case."""
    view = json.loads((place / "out" / "report.json").read_text())
    (timed,) = view["profile"]["trials"]
    assert timed["verdict"] == "pass"
    assert timed["fwd_s"] is not None or timed["withheld"]


@pytest.mark.parametrize(
    ("form", "begins"), [("text", "attnprobe"), ("md", "#"), ("html", "<!"), ("json", "{")]
)
def test_a_session_is_rendered_without_torch(
    place: Path, reported: subprocess.CompletedProcess[str], form: str, begins: str
):
    """Every view of a saved session, in a process where torch cannot be imported."""
    code = "import sys; sys.modules['torch'] = None; from attnprobe.cli import main; main(sys.argv[1:])"
    done = subprocess.run(
        [sys.executable, "-c", code, "render", "out/session.jsonl", "--format", form],
        cwd=place,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.lstrip().lower().startswith(begins)


def test_a_report_without_a_place_is_printed(place: Path):
    """Where the folder cannot be made the Markdown goes to stdout, and the exit code says so."""
    (place / "file").write_text("")
    done = attnprobe(
        *("report", "tiny.yaml", "-o", "file/out", "--backend", "sdpa-math", "--budget", "1"),
        cwd=place,
    )
    assert done.returncode == 3
    assert "# attnprobe report" in done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_a_full_disk_loses_no_result(place: Path):
    """JSON that cannot be written is printed, exit 3."""
    arguments = ("--backend", "sdpa-math", *FEW, "--json", "/dev/full")
    done = attnprobe("check", *arguments, cwd=place)
    assert done.returncode == 3
    assert '"schema": "attnprobe/1"' in done.stdout
