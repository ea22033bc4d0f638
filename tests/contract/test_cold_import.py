"""The host works where torch cannot be imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

BLOCKED = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"torch", "triton", "xformers", "flash_attn", "numpy", "matplotlib"}:
            raise ImportError(f"{name} is blocked in this test")
sys.meta_path.insert(0, Block())
from attnprobe.cli import main
main(sys.argv[1:])
"""


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", BLOCKED, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    "arguments",
    [("--help",), ("--version",), ("profiles",), ("profiles", "check-quick"), ("info", "--no-run")],
    ids=" ".join,
)
def test_a_command_works_without_torch(arguments: tuple[str, ...]):
    """It exits 0 and says something."""
    done = run(*arguments)
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_the_block_works():
    """A host that imported torch would be caught: the blocked import fails."""
    code = BLOCKED.replace("from attnprobe.cli import main", "import torch")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "blocked in this test" in done.stderr


HOST = [
    path
    for path in sorted(Path("attnprobe").rglob("*.py"))
    if path.parts[1] not in ("device", "worker")
    and (path.parts[1] != "capture" or path.stem in ("load", "launch", "finish", "writing"))
    and path.name != "__main__.py"
    and (
        path.parent.name != "plots" or path.name == "__init__.py"
    )  # the rest draws, or is not asked
]


def test_every_host_module_imports_without_torch():
    """All of them in one process, torch and what it brings blocked."""
    names = [".".join(p.with_suffix("").parts).removesuffix(".__init__") for p in HOST]
    code = BLOCKED.replace("main(sys.argv[1:])", "\n".join(f"import {name}" for name in names))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
