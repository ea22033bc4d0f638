"""Real children, started once where tests can share them, and environments to start them in."""

from __future__ import annotations

import contextlib
import time
import venv
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path

import pytest

from attnprobe.core.case import Case
from attnprobe.core.trial import Trial
from attnprobe.worker.host import Worker

DEEDS = f"{Path(__file__).with_name('deeds.py')}:answer"

MakeEnvironment = Callable[..., Path]


def trial(deed: str, seed: int = 0) -> Trial:
    """A trial whose backend is a deed."""
    return Trial(Case(1, 1, 1, 4, 4, 8, 8, seed=seed), deed)


@pytest.fixture(scope="package")
def worker() -> Iterator[Worker]:
    """Children forked from a server, held to 1 GiB each, with a variable of their own."""
    variables = {"ATTNPROBE_TEST_VARIABLE": "yes"}
    with Worker(entry=DEEDS, variables=variables, memory_limit_bytes=2**30) as worker:
        yield worker


@pytest.fixture
def fresh(worker: Worker) -> Worker:
    """The same server with an unused child."""
    worker.retire()
    return worker


@pytest.fixture
def make_environment(tmp_path: Path) -> MakeEnvironment:
    """Builds virtual environments that hold exactly what is named; returns their interpreters."""

    def make(
        name: str, distributions: tuple[str, ...] = (), modules: dict[str, str] | None = None
    ) -> Path:
        home = tmp_path / name
        venv.EnvBuilder(symlinks=True, with_pip=False).create(home)
        (site,) = home.glob("lib/python*/site-packages")
        for distribution in distributions:
            _link(distribution, site)
        for module, text in (modules or {}).items():
            (site / module).parent.mkdir(parents=True, exist_ok=True)
            (site / module).write_text(text)
        return home / "bin" / "python"

    return make


def left(mark: str, expected: int = 0, within_s: float = 5.0) -> list[str]:
    """Command lines of processes with that text in their environment, once they are as many as expected.

    A killed process takes some milliseconds to end; after `within_s` the answer is what there is.
    """
    until = time.monotonic() + within_s
    while len(found := _running(mark)) != expected and time.monotonic() < until:
        time.sleep(0.02)
    return found


def _running(mark: str) -> list[str]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark.encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_text().replace("\0", " "))
    return found


def with_torch() -> tuple[str, ...]:
    """Torch and, as far as they are installed, the distributions that it requires."""
    found, wanted = dict[str, None](), ["torch"]
    while wanted:
        name = wanted.pop()
        try:
            requires = metadata.distribution(name).requires or []
        except metadata.PackageNotFoundError:
            continue
        if name not in found:
            found[name] = None
            wanted += [_name(r) for r in requires if "extra ==" not in r]
    return tuple(found)


def _name(requirement: str) -> str:
    """`sympy` of `sympy>=1.13.3; python_version >= "3.9"`."""
    end = next((i for i, c in enumerate(requirement) if not (c.isalnum() or c in "-_.")), None)
    return requirement[:end]


def _link(distribution: str, site: Path) -> None:
    """Links what a distribution installed; two that share a namespace share the link."""
    found = metadata.distribution(distribution)
    for top in {file.parts[0] for file in found.files or ()} - {"..", "__pycache__"}:
        place = site / top
        if not place.exists():
            place.symlink_to(Path(str(found.locate_file(top))))
