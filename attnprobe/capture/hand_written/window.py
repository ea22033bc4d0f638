"""What becomes of matrix products: a look at every operator that runs for a while."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode, _get_current_dispatch_mode

from attnprobe.capture.hand_written.trail import Stage, Trail

_MOST = 4
"""Products that are followed at once: scores may be a sum of several."""


class Window(TorchDispatchMode):  # type: ignore[no-untyped-call] # torch's
    """Follows tensors by the storage that they lie in, each on the trail of its product."""

    supports_higher_order_operators = True
    watches_only = True

    @classmethod
    def ignore_compile_internals(cls) -> bool:
        """Otherwise torch.compile is switched off below the mode."""
        return True

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call] # torch's
        self._tags: dict[int, tuple[Stage, Trail]] = {}
        self._trails: list[Trail] = []

    def enter(self) -> None:
        """Sees operators of this thread from now on."""
        self.__enter__()  # type: ignore[no-untyped-call] # torch's

    def leave(self) -> bool:
        """Sees no more; False while another mode, entered since, lies above it and has to go first."""
        self._trails.clear()
        if _get_current_dispatch_mode() is not self:
            return False
        self.__exit__(None, None, None)  # type: ignore[no-untyped-call] # torch's
        return True

    @property
    def busy(self) -> bool:
        """Whether a product is still being followed."""
        return any(trail.alive for trail in self._trails)

    def follow(self, scores: torch.Tensor, scale: float, added: Any) -> Trail:
        """A product was made.

        Args:
            scores: Its result.
            scale: What it multiplied with.
            added: What it added; None for nothing.
        """
        trail = Trail(scores, scale, self._stage)
        if isinstance(added, torch.Tensor):
            trail.added(added)
        self._trails = [*self._trails[1 - _MOST :], trail]
        self._tags[_key(scores)] = ("scores", trail)
        return trail

    def forget(self, trail: Trail) -> None:
        """It came to its end."""
        self._trails = [other for other in self._trails if other is not trail]

    def trail_to(self, tensor: Any) -> Trail | None:
        """The trail whose probabilities a tensor is, possibly cast, reshaped or dropped out."""
        if type(tensor) is not torch.Tensor:
            return None
        stage, trail = self._tags.get(_key(tensor), (None, None))
        known = stage in ("probabilities", "exponentials")  # the sum may be divided by afterwards
        return trail if known and trail in self._trails else None

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Runs the operator, and takes note of it."""
        alive = [trail for trail in self._trails if trail.alive]
        if not alive:
            return func(*args, **(kwargs or {}))
        name, found = _name(func), self._first(args)
        self._guarded(alive, self._before, alive, name, args, found)
        out = func(*args, **(kwargs or {}))
        self._guarded(alive, self._after, name, args, out, found)
        return out

    def _guarded(self, alive: list[Trail], note: Any, *arguments: Any) -> None:
        """Whatever we fail at, the script goes on and its calls are counted."""
        try:
            note(*arguments)
        except Exception as error:  # noqa: BLE001 - see above
            for trail in alive:
                trail.notes.append(f"not followed everywhere: {type(error).__name__}")

    def _before(
        self, alive: list[Trail], name: str, args: Any, found: tuple[Stage, Trail] | None
    ) -> None:
        for trail in alive:
            trail.passes(name, args)
        if found is not None and found[0] == "scores":
            found[1].reads(name, args)

    def _after(self, name: str, args: Any, out: Any, found: tuple[Stage, Trail] | None) -> None:
        made = out[0] if isinstance(out, (tuple, list)) and out else out
        if not isinstance(made, torch.Tensor):
            return
        key = _key(made)
        following = found[1].makes(name, found[0], args, made) if found is not None else None
        if found is not None and following is not None:
            self._tags[key] = (following, found[1])
        elif not any(isinstance(a, torch.Tensor) and _key(a) == key for a in args):
            self._tags.pop(key, None)  # memory that scores were in is another tensor's now

    def _stage(self, value: Any) -> Stage | None:
        if not isinstance(value, torch.Tensor):
            return None
        return self._tags.get(_key(value), (None,))[0]

    def _first(self, args: Any) -> tuple[Stage, Trail] | None:
        """The first argument that is on a trail."""
        for value in args:
            for item in value if isinstance(value, (list, tuple)) else (value,):
                if isinstance(item, torch.Tensor) and (found := self._tags.get(_key(item))):
                    return found
        return None


def _name(func: Any) -> str:
    schema = getattr(func, "_schema", None)
    return str(schema.name).rpartition("::")[2] if schema is not None else str(func)


def _key(tensor: torch.Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)
