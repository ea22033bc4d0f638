"""pytest: `--attnprobe FILE.py:FUNC` collects a callable's tests; the fixture `attnprobe` checks one.

What it needs is imported when it is used: a test run that does not use it pays for nothing.
"""

from __future__ import annotations

import importlib.util
import inspect
import itertools
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from attnprobe.core.trial import Record, Trial
    from attnprobe.kernel_tests import Laboratory

_LABORATORY = pytest.StashKey["Laboratory"]()
_IN_PROCESS = "attnprobe_in_process"
_numbers = itertools.count()


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options."""
    group = parser.getgroup("attnprobe", "attention kernels")
    group.addoption(
        "--attnprobe",
        action="append",
        default=[],
        metavar="FILE.py:FUNC",
        help="hold this callable (signature of SDPA) to the laboratory, one test per question; "
        "repeats. Without paths nothing else is collected.",
    )
    group.addoption("--attnprobe-level", default="quick", metavar="LEVEL", help="quick or full")
    group.addoption("--attnprobe-device", default="auto", metavar="DEVICE", help="auto, cpu, cuda")
    group.addoption("--attnprobe-seed", default=0, type=int, metavar="N", help="other numbers")


def pytest_configure(config: pytest.Config) -> None:
    """Without paths on the command line, the callables' tests are all there is to collect."""
    config.addinivalue_line("markers", "attnprobe: a question of attnprobe to an attention kernel")
    given = config.args_source is pytest.Config.ArgsSource.ARGS
    if config.getoption("--attnprobe") and not given:
        config.args = []


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(
    session: pytest.Session, config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Adds the callables' tests, before `-k` and `-m` choose among all."""
    for backend in config.getoption("--attnprobe"):
        items += _items(session, backend)


def _items(session: pytest.Session, backend: str) -> Iterator[pytest.Item]:
    from attnprobe.errors import AttnprobeError
    from attnprobe.kernel_tests import names

    config = session.config
    try:
        trials = _laboratory(config).trials(
            backend,
            config.getoption("--attnprobe-level"),
            device=config.getoption("--attnprobe-device"),
            seed=config.getoption("--attnprobe-seed"),
        )
    except AttnprobeError as error:
        raise pytest.UsageError(str(error)) from None
    for name, trial in zip(names(trials), trials, strict=True):
        yield KernelTest.from_parent(session, name=f"{backend}[{name}]", trial=trial)


class KernelTest(pytest.Item):
    """One question to one callable.

    Args:
        trial: The question.
    """

    def __init__(self, *, trial: Trial, **given: Any) -> None:
        super().__init__(**given)
        self.trial = trial
        self.add_marker("attnprobe")

    def runtest(self) -> None:
        """Passes, fails with what `check` says, or is skipped with the reason."""
        from attnprobe.kernel_tests import complaint, unsaid

        record = _laboratory(self.config).ask(self.trial)
        if said := complaint(record):
            raise KernelWrong(said)
        if why := unsaid(record):
            pytest.skip(why)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """The words alone: the traceback would be this file's."""
        if isinstance(excinfo.value, KernelWrong):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        """The callable's file where it has one."""
        place = self.trial.backend.rpartition(":")[0]
        return Path(place if place.endswith(".py") else self.config.rootpath), 0, self.name


class KernelWrong(AssertionError):
    """The callable is wrong; the message says how."""


class Checker:
    """What the fixture `attnprobe` gives.

    Args:
        config: pytest's.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def check(
        self,
        kernel: str | Callable[..., Any],
        level: str = "quick",
        *,
        mask: str | tuple[str, ...] = (),
        dtype: str | tuple[str, ...] = (),
        device: str = "auto",
        seed: int = 0,
    ) -> None:
        """Holds a callable with the signature of SDPA to a level, or to a part of it.

        A function at the top of a file or module is imported by a child process, so that a crash or
        a hang fails this test alone. A closure, a lambda or an instance has no name to be imported
        by: it runs in this process, where a crash ends the test run.

        Args:
            kernel: The callable, or `FILE.py:FUNC`, or `package.module:FUNC`.
            level: quick or full.
            mask: Names of cases or masks; none is all.
            dtype: Element types; none is all.
            device: auto, cpu or cuda.
            seed: Moves the seeds of all cases.

        Raises:
            KernelWrong: Anything is wrong; an AssertionError.
            UsageError: Nothing could be asked, or the callable refused everything.
        """
        __tracebackhide__ = True
        from attnprobe.kernel_tests import verdict

        masks = (mask,) if isinstance(mask, str) else mask
        dtypes = (dtype,) if isinstance(dtype, str) else dtype
        name, laboratory = (
            kernel if isinstance(kernel, str) else importable(kernel),
            _laboratory(self._config),
        )
        ask: Callable[[Trial], Record] = laboratory.ask
        if not name:
            assert not isinstance(kernel, str)
            name, ask = _kept(kernel), _in_process
        trials = laboratory.trials(name, level, masks, dtypes, device, seed)
        if wrong := verdict(trials, ask):
            raise KernelWrong(wrong)


@pytest.fixture
def attnprobe(request: pytest.FixtureRequest) -> Checker:
    """`attnprobe.check(kernel, level="quick", mask="causal", dtype="bfloat16")`."""
    return Checker(request.config)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Ends the child, if one was started."""
    if _LABORATORY in config.stash:
        config.stash[_LABORATORY].close()


def _laboratory(config: pytest.Config) -> Laboratory:
    if _LABORATORY not in config.stash:
        from attnprobe.kernel_tests import Laboratory

        config.stash[_LABORATORY] = Laboratory()
    return config.stash[_LABORATORY]


def importable(kernel: Callable[..., Any]) -> str:
    """`FILE.py:FUNC` or `package.module:FUNC`; empty for what another process cannot import."""
    name = getattr(kernel, "__qualname__", "")
    module = sys.modules.get(getattr(kernel, "__module__", "") or "")
    if not name.isidentifier() or getattr(module, name, None) is not kernel:
        return ""
    assert module is not None
    file = inspect.getsourcefile(module)
    if "." in module.__name__ and _finds(module.__name__, file):
        return f"{module.__name__}:{name}"
    return f"{file}:{name}" if file else ""


def _finds(module: str, file: str | None) -> bool:
    """Whether an interpreter that knows nothing of pytest's paths finds this very module."""
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return False
    return spec is not None and spec.origin == file


def _kept(kernel: Callable[..., Any]) -> str:
    """A name for what has none, good in this process."""
    module = sys.modules.setdefault(_IN_PROCESS, types.ModuleType(_IN_PROCESS))
    name = f"kernel_{next(_numbers)}"
    setattr(module, name, kernel)
    return f"{_IN_PROCESS}:{name}"


def _in_process(trial: Trial) -> Record:
    from attnprobe.core.trial import Record
    from attnprobe.device.answer import answer
    from attnprobe.worker.guard import Phases, guarded

    phases = Phases(lambda phase: None)
    return Record(trial, guarded(lambda: answer(trial, phases.announce), phases))
