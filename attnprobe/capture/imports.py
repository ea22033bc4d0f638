"""Something happens as soon as a module has been imported, before anybody can bind a name from it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

Action = Callable[[ModuleType], None]


class AfterImport:
    """A finder for `sys.meta_path` that lets the others find, and adds an action to what they found.

    Args:
        actions: What to do, by full module name. An action must not raise.
    """

    def __init__(self, actions: Mapping[str, Action]) -> None:
        self._actions = actions

    def install(self) -> None:
        """Acts on modules that are there already, and from now on on those that come."""
        for name, action in self._actions.items():
            if (module := sys.modules.get(name)) is not None:
                action(module)
        sys.meta_path.insert(0, self)

    def remove(self) -> None:
        """Nothing happens any more; what was done stays done."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """See `importlib.abc.MetaPathFinder`."""
        action = self._actions.get(name)
        if action is None:
            return None
        spec = self._found_by_others(name, path, target)
        if spec is not None and spec.loader is not None:
            _then(spec, action)
        return spec

    def _found_by_others(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None
    ) -> ModuleSpec | None:
        for finder in sys.meta_path:
            if finder is self or not hasattr(finder, "find_spec"):
                continue
            if (spec := finder.find_spec(name, path, target)) is not None:
                return spec
        return None


def _then(spec: ModuleSpec, action: Action) -> None:
    """The loader stays what it is (others look at its class); one instance gets another method."""
    loader = spec.loader
    assert loader is not None
    execute = loader.exec_module

    def exec_module(module: ModuleType) -> None:
        del loader.exec_module
        execute(module)
        action(module)

    loader.exec_module = exec_module  # type: ignore[method-assign] # of this instance
