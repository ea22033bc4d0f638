"""Runs a script as `python SCRIPT` or `python -m PACKAGE` would, with every attention call watched."""

from __future__ import annotations

import atexit
import os
import runpy
import sys
import types
from collections.abc import Mapping
from typing import Any

from attnprobe.capture.install import Installation
from attnprobe.capture.recorder import Recorder
from attnprobe.capture.writing import Writer, rank_path

HERE = os.path.dirname(__file__)


def main(told: Mapping[str, Any]) -> None:
    """Never returns what the script did not: its exit code, output and exceptions are its own.

    Args:
        told: `target` (a path, or a module's name), `module` (whether it is one), `output` (where the
            capture goes), `steps`, `stop_after` and `timing`; `sys.argv` holds the script's arguments.
    """
    module, target = told["module"], told["target"]
    recorder = Recorder(
        root=os.getcwd() if module else os.path.dirname(os.path.abspath(target)),
        steps=told["steps"],
        stop_after=told["stop_after"],
        timing=told["timing"],
    )
    script = f"-m {target}" if module else os.path.basename(target.rstrip(os.sep))
    installation = Installation(recorder)
    writer = Writer(recorder, installation, rank_path(told["output"]), script)
    atexit.register(writer.finish)  # the first one, so the last to run
    recorder.flush = writer.flush
    installation.begin()
    sys.argv.insert(0, target)
    try:
        _run_module(target) if module else _run_script(target)
    except SystemExit as left:
        writer.ended = f"exit {_code(left.code)}"
        raise
    except BaseException as error:
        writer.ended = "SIGINT" if isinstance(error, KeyboardInterrupt) else type(error).__name__
        _tell(error)
        raise
    writer.ended = "exit 0"


def _run_script(path: str) -> None:
    """As pymain_run_file does; a folder or an archive with a `__main__.py` as python takes it."""
    if os.path.isdir(path) or path.endswith((".zip", ".pyz")):
        sys.path[0] = path
        _fresh_main()
        runpy._run_module_as_main("__main__", alter_argv=False)  # type: ignore[attr-defined]
        return
    sys.path[0] = os.path.dirname(os.path.realpath(path))
    main_module = _fresh_main()
    main_module.__file__ = os.path.abspath(path)  # absolute since Python 3.9
    main_module.__dict__["__cached__"] = None
    with open(path, "rb") as file:
        code = compile(file.read(), main_module.__file__, "exec", dont_inherit=True)
    exec(code, main_module.__dict__)


def _run_module(name: str) -> None:
    """`runpy._run_module_as_main` is what `python -m` itself calls (cpython:Modules/main.c)."""
    sys.path[0] = os.getcwd()
    _fresh_main()
    runpy._run_module_as_main(name)  # type: ignore[attr-defined]


def _fresh_main() -> types.ModuleType:
    """A `__main__` that knows nothing of us."""
    module = types.ModuleType("__main__")
    module.__dict__["__builtins__"] = __builtins__
    sys.modules["__main__"] = module
    return module


def _code(code: Any) -> int:
    if code is None:
        return 0
    return code if isinstance(code, int) else 1


def _tell(error: BaseException) -> None:
    """Prints the error as python would, without our frames; what python prints itself then is silenced.

    The exception still leaves the driver, so that the interpreter ends as it would have: exit code 1,
    or SIGINT for a KeyboardInterrupt (cpython:Modules/main.c, `exit_sigint`).
    """
    _prune(error, set())
    sys.excepthook(type(error), error, error.__traceback__)
    sys.excepthook = lambda *_: None


def _prune(error: BaseException | None, done: set[int]) -> None:
    """Takes the frames of this package off a traceback and off those that it is chained to."""
    if error is None or id(error) in done:
        return
    done.add(id(error))
    kept = [tb for tb in _frames(error) if not tb.tb_frame.f_code.co_filename.startswith(HERE)]
    for here, following in zip(kept, [*kept, None][1:], strict=True):
        here.tb_next = following
    error.__traceback__ = kept[0] if kept else None
    _prune(error.__cause__, done)
    _prune(error.__context__, done)


def _frames(error: BaseException) -> list[types.TracebackType]:
    found, tb = list[types.TracebackType](), error.__traceback__
    while tb is not None:
        found.append(tb)
        tb = tb.tb_next
    return found
