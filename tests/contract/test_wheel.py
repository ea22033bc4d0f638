"""The wheel holds everything: the command works from it alone, without torch and without this tree."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None
import attnprobe
assert attnprobe.__file__.startswith(sys.argv.pop(1)), attnprobe.__file__
from attnprobe.cli import main
main(sys.argv[1:])
"""


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of this tree, built and unpacked (which is all that installing a pure wheel does)."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(folder / "site")
    return folder / "site"


@pytest.mark.parametrize("arguments", [("--help",), ("profiles",), ("profiles", "check-quick")])
def test_a_command_works_from_the_wheel(unpacked: Path, arguments: tuple[str, ...], tmp_path: Path):
    """It finds its workloads inside the package."""
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, str(unpacked), *arguments],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(unpacked)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_the_wheel_holds_what_the_tree_holds(unpacked: Path):
    """Every file of the package, templates included, and every workload."""
    tree = {
        p.relative_to(ROOT)
        for p in (ROOT / "attnprobe").rglob("*")
        if p.is_file() and "__pycache__" not in p.parts
    }
    missing = {str(path) for path in tree if not (unpacked / path).is_file()}
    assert missing == set()
    shipped = {p.name for p in (unpacked / "attnprobe" / "profiles").glob("*.yaml")}
    assert shipped == {p.name for p in (ROOT / "profiles").glob("*.yaml")}


def test_the_wheel_installs_the_command_and_the_licence(unpacked: Path):
    """`attnprobe` is an entry point, and the licence travels."""
    (metadata,) = unpacked.glob("*.dist-info")
    assert "attnprobe = attnprobe.cli:main" in (metadata / "entry_points.txt").read_text()
    assert list(metadata.rglob("LICENSE"))
