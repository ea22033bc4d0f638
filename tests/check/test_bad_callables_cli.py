"""The command itself, given callables that misbehave: what it prints and how it exits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

BAD = Path(__file__).with_name("bad")

TINY = """
name: tiny
source: a test
cases:
  - {name: self, Hq: 2, Mq: 16, K: 8, dtype: float32}
  - {name: long, Hq: 2, Mq: 24, K: 8, dtype: float32}
"""


def check(folder: Path, *backends: str) -> subprocess.CompletedProcess[str]:
    """`attnprobe check` on two small cases, from the user's folder."""
    (folder / "tiny.yaml").write_text(TINY)
    named = [word for backend in backends for word in ("--backend", backend)]
    return subprocess.run(
        [sys.executable, "-m", "attnprobe", "check", "tiny.yaml", *named, "--json", "out.json"],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"},
        timeout=120,
        check=False,
    )


def test_everybody_is_named_and_the_rest_of_the_run_continues(tmp_path: Path):
    """Five that go wrong in five ways and one that is right, in one run."""
    deeds = {
        "ends.py:segfaults": {"crashed"},
        "ends.py:leaves": {"raised"},
        "ends.py:only_short": {"measured", "refused"},
        "ends.py:shouts": {"measured"},
        "returns.py:nothing": {"measured"},
        "returns.py:not_contiguous": {"measured"},
    }
    done = check(tmp_path, *(f"{BAD}/{name}" for name in deeds))
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert len(done.stdout) < 20_000  # what it shouts is not ours to repeat
    trials = json.loads((tmp_path / "out.json").read_text())["trials"]
    for name, kinds in deeds.items():
        own = [t for t in trials if t["backend"].endswith(f"bad/{name}")]
        assert len(own) == 2
        assert {t["outcome"]["kind"] for t in own} == kinds
    verdicts = {t["backend"].rpartition(":")[2]: t["verdict"] for t in trials}
    assert verdicts["not_contiguous"] == verdicts["shouts"] == "pass"
    assert verdicts["nothing"] == "fail"


BROKEN = {
    "raises.py:f": ("raise ImportError('no libfoo')", "no libfoo"),
    "syntax.py:f": ("def f(:", "SyntaxError"),
    "empty.py:f": ("", "no function 'f'"),
    "number.py:f": ("f = 3", "no function 'f'"),
    "needy.py:f": ("class f:\n    def __init__(self, heads): pass", "without arguments"),
    "exits.py:f": ("import sys; sys.exit(5)", "SystemExit"),
    "dies.py:f": ("import os; os._exit(5)", "exit code 5"),
    "absent.py:f": (None, "no such file"),
}


def test_what_cannot_be_loaded_is_the_users_mistake(tmp_path: Path):
    """Exit 2, all of them at once, each with its reason, and no traceback."""
    for name, (text, _) in BROKEN.items():
        if text is not None:
            (tmp_path / name.partition(":")[0]).write_text(text)
    done = check(tmp_path, *BROKEN)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    for name, (_, why) in BROKEN.items():
        assert name in done.stderr
        assert why in done.stderr


def test_a_file_imports_its_neighbours_and_the_package_it_lies_in(tmp_path: Path):
    """Its folder and the current directory are importable, as with `python FILE.py`; a class is made."""
    package = tmp_path / "kernels"
    package.mkdir()
    (package / "shared.py").write_text("from torch.nn.functional import *\nBEFORE = 1\n")
    (package / "queue.py").write_text(
        "import torch, shared, kernels.shared\n"
        "class Mine(torch.nn.Module):\n"
        "    def forward(self, *tensors, **options):\n"
        "        return shared.scaled_dot_product_attention(*tensors, **options)\n"
    )
    done = check(tmp_path, "kernels/queue.py:Mine")
    assert done.returncode == 0, done.stdout + done.stderr
