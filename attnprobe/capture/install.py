"""Puts the hooks in place as the modules come, and takes them away again."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from attnprobe.capture import processes, targets
from attnprobe.capture.imports import Action, AfterImport
from attnprobe.capture.recorder import Recorder

if TYPE_CHECKING:
    from attnprobe.capture.watch import Watch

_BESIDE = tuple(f"attnprobe.capture.{name}" for name in ("steps", "kernels", "compiled"))
"""Hooks beside the targets."""


class Installation:
    """All hooks of one recorder.

    Nothing of torch is imported by it: a script that never imports torch pays nothing, and one that
    sets variables before it does finds them obeyed.

    Args:
        recorder: Who is told.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._watch: Watch | None = None
        self._late = "torch" in sys.modules
        self._waiting: list[tuple[Any, ModuleType]] = []
        self._finder = AfterImport(self._actions())

    def begin(self) -> None:
        """Acts on what is imported already, and on what will be."""
        self._finder.install()
        self._recorder.when_off.append(self.end)

    def end(self) -> None:
        """Everything is as before."""
        self._finder.remove()
        if self._watch is not None:
            self._watch.undo()

    def settle(self, wait: bool) -> None:
        """Reads times that have come; with `wait`, all."""
        if self._watch is not None:
            self._watch.clock.settle(wait)

    def _actions(self) -> dict[str, Action]:
        """By module, what is done after its import: every hook's file says which it wants."""
        names = [f"{targets.__name__}.{m.name}" for m in pkgutil.iter_modules(targets.__path__)]
        hooks: dict[str, list[Any]] = {"torch": []}  # the first: others wait for it
        for hook in map(importlib.import_module, (*_BESIDE, *names)):
            for module in hook.MODULES:
                hooks.setdefault(module, []).append(hook)
        found = {module: self._action(wanted) for module, wanted in hooks.items()}
        return found | dict.fromkeys(processes.MODULES, self._install_processes)

    def _install_processes(self, module: ModuleType) -> None:
        processes.install(module, self._recorder)

    def _action(self, hooks: list[Any]) -> Action:
        def act(module: ModuleType) -> None:
            if module.__name__ == "torch":
                self._torch_is_there()
            for hook in hooks:
                if self._watch is None:  # a part of torch, and torch is still being imported
                    self._waiting.append((hook, module))
                else:
                    self._install(hook, module)

        return act

    def _torch_is_there(self) -> None:
        from attnprobe.capture.watch import Watch

        self._watch = Watch(self._recorder, self._late)
        while self._waiting:
            self._install(*self._waiting.pop(0))

    def _install(self, hook: Any, module: ModuleType) -> None:
        try:
            hook.install(module, self._watch)
        except Exception as error:  # noqa: BLE001 - the script's import must succeed
            name = hook.__name__.rpartition(".")[2]
            self._recorder.gap(getattr(hook, "WHAT", f"calls of {name}"), error)
