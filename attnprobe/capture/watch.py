"""Replaces a callable by one that tells the recorder what it was called with, and does nothing else."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import ModuleType
from typing import Any

import torch

from attnprobe.capture import look, site
from attnprobe.capture.clock import (
    Clock,
    Memory,
    aliases,
    count_backward,
    own,
    replaced,
    time_backward,
)
from attnprobe.capture.facts import PLAIN, autocast, identity
from attnprobe.capture.later import in_backward, is_traced, may_compute
from attnprobe.capture.names import ORIGINAL, bound_names, holds_causal_bias, torch_s_own
from attnprobe.capture.recorder import Recorder
from attnprobe.capture.seen import Seen
from attnprobe.capture.tally import Tally

Read = Callable[[tuple[Any, ...], dict[str, Any]], "Seen | None"]
"""What a target makes of a call's arguments; None where it is no attention call."""


class Call:
    """A call that is running.

    Attributes:
        tally: Where it belongs.
        views: Views that stand for its arguments while its backward pass is timed.
    """

    __slots__ = ("began", "chosen", "inputs", "memory", "recomputed", "tally", "views")

    def __init__(self, tally: Tally, recomputed: bool) -> None:
        self.tally, self.recomputed = tally, recomputed
        self.views: dict[int, torch.Tensor] = {}
        self.began: Any = None
        self.memory: Memory | None = None
        self.chosen = False
        self.inputs: tuple[Any, ...] = ()

    def chose(self, backend: str) -> None:
        """A library says which of its operators it took; one of them may call another."""
        if not self.chosen:
            self.tally.backends[backend] += 1
        self.chosen = True

    def ran(self, operator: str, _arguments: tuple[Any, ...]) -> None:
        """An operator of interest ran below it."""
        self.tally.kernels[operator] += 1


class Watch:
    """Makes watched callables, and puts everything back.

    Args:
        recorder: Who is told.
        late: Whether torch was imported before, so that other modules may hold its functions.
    """

    def __init__(self, recorder: Recorder, late: bool) -> None:
        self.recorder, self.clock = recorder, Clock()
        self._undo: list[Callable[[], None]] = []
        self._bound = bound_names() if late else {}

    def function(
        self,
        module: ModuleType,
        name: str,
        api: str,
        read: Read,
        jit: str = "",
        place_in: ModuleType | None = None,
    ) -> None:
        """Watches `module.name`, wherever else it was bound to by then.

        Args:
            module: Where it lives.
            name: Its name; a module that lacks it is left alone.
            api: What its calls are recorded as.
            read: Makes sense of its arguments.
            jit: The operator that torch.jit.script must go on to see in its place.
            place_in: The module that others import it from, where that is another one.
        """
        original = getattr(module, name, None)
        if original is None:
            return
        if hasattr(original, ORIGINAL):
            self.recorder.gap(f"calls of {api}", "another capture is watching them")
            return
        wrapper = self.watched(original, api, read)
        wrapper.__module__ = (place_in or module).__name__  # a builtin's is private: no pickling
        self.put(module, name, original, wrapper, jit)

    def put(self, owner: Any, name: str, original: Any, wrapper: Any, jit: str = "") -> None:
        """Sets an attribute of a module or class, and wherever a module has bound the original."""
        if jit:
            torch.jit._builtins._register_builtin(wrapper, jit)
        holders = [(owner, name)]
        holders += [held for held in self._bound.get(id(original), []) if held[0] is not owner]
        for holder, key in holders:
            own = key in vars(holder)  # what was inherited is inherited again
            setattr(holder, key, wrapper)
            back = functools.partial(setattr, holder, key, original)
            self.undoing(back if own else functools.partial(delattr, holder, key))

    def before(self, owner: Any, name: str, action: Callable[[], None]) -> None:
        """Does something before every call of a function."""
        original, is_compiling = getattr(owner, name), torch.compiler.is_compiling

        @functools.wraps(original)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            if not is_compiling():
                action()
            return original(*args, **kwargs)

        self.put(owner, name, original, wrapper)

    def after(self, owner: Any, name: str, action: Callable[[Any], None]) -> None:
        """Does something with what a function returned, outside of compiled regions."""
        original, is_compiling = getattr(owner, name), torch.compiler.is_compiling

        @functools.wraps(original)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            out = original(*args, **kwargs)
            if not is_compiling():
                action(out)
            return out

        self.put(owner, name, original, wrapper)

    def undoing(self, action: Callable[[], None]) -> None:
        """Remembers how to take a change back."""
        self._undo.append(action)

    def undo(self) -> None:
        """Everything is as before; what others bound meanwhile stays watched, and passes calls on."""
        while self._undo:
            self._undo.pop()()

    def watched(self, original: Callable[..., Any], api: str, read: Read) -> Callable[..., Any]:
        """A function that behaves as `original` does.

        Under torch.compile `is_compiling` is folded to True, and what is traced is `original`.
        """
        is_compiling, recorder, begin = torch.compiler.is_compiling, self.recorder, self.begin
        has_override = torch.overrides.has_torch_function

        @functools.wraps(original, assigned=("__doc__", "__name__", "__qualname__"), updated=())
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            if is_compiling() or not recorder.listening:
                return original(*args, **kwargs)
            run = original
            if has_override((*args, *kwargs.values())) and not torch_s_own(args, kwargs):
                relevant = (*args, *kwargs.values())
                run = functools.partial(torch.overrides.handle_torch_function, wrapper, relevant)
                if not holds_causal_bias(args, kwargs):
                    return run(*args, **kwargs)
            call = begin(api, read, args, kwargs)
            if call is None:
                return run(*args, **kwargs)
            if call.views:
                args = tuple(replaced(value, call.views) for value in args)
                kwargs = {key: replaced(value, call.views) for key, value in kwargs.items()}
            try:
                out = run(*args, **kwargs)
            except BaseException:
                self.failed(call)
                raise
            self.end(call, out)
            return out

        del wrapper.__wrapped__  # torch.jit.script would compile what is behind it
        setattr(wrapper, ORIGINAL, original)
        return wrapper

    def begin(
        self, api: str, read: Read, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Call | None:
        """Counts a call; None when it is no attention call, or when we failed (which is a gap)."""
        recorder = self.recorder
        if is_traced():
            return None
        try:
            with torch._C.DisableTorchFunctionSubclass():
                call = self._begun(api, read(args, kwargs))
        except Exception as error:  # noqa: BLE001 - a bug of ours must not be one of the script
            recorder.gap(f"a call of {api}", error)
            return None
        if call is not None:
            recorder.open.append(call)
        return call

    def _begun(self, api: str, seen: Seen | None) -> Call | None:
        if seen is None or not isinstance(seen.q, torch.Tensor):
            return None
        tally = self._tally(api, seen)
        if tally is None:
            return None
        call = Call(tally, in_backward())
        if call.recomputed:
            tally.recomputed += 1
        else:
            self._first_time(call, seen)
        return call

    def _tally(self, api: str, seen: Seen) -> Tally | None:
        place = site.place()
        mask = identity(seen.mask) or type(seen.mask).__name__
        key = (
            api,
            place,
            identity(seen.q),
            identity(seen.k),
            identity(seen.v),
            mask,
            seen.flags,
            torch.is_grad_enabled(),
            autocast(seen.q.device.type),
            torch.are_deterministic_algorithms_enabled(),
        )
        root = self.recorder.root

        def made() -> Tally:
            return Tally(api, seen, site.origin(place, root, torch.nn.Module))

        return self.recorder.tally(key, made)

    def _first_time(self, call: Call, seen: Seen) -> None:
        """What is done for a forward call that is none of checkpointing's."""
        tally, recorder = call.tally, self.recorder
        tally.count += 1
        tally.passed(seen.mask)
        if look.due(tally.count, recorder):
            look.look(tally, seen, recorder)
            call.inputs = (seen.q, seen.k, seen.v)
        if seen.q.is_cuda and tally.count == 1 and may_compute(seen.q):
            call.memory = Memory()
        if recorder.timing and may_compute(seen.q):
            if tally.grad_enabled:
                call.views = aliases((seen.q, seen.k, seen.v))
            call.began = self.clock.now(seen.q.is_cuda)

    def failed(self, call: Call) -> None:
        """A call left by an exception; a recomputed one may do so when it has all that it needs."""
        self.recorder.open.pop()
        if not call.recomputed:
            call.tally.count -= 1
            call.tally.failed += 1

    def end(self, call: Call, out: Any) -> None:
        """A call has returned."""
        recorder = self.recorder
        recorder.open.pop()
        try:
            recorder.called()
            output = out[0] if isinstance(out, tuple) and out else out
            if not isinstance(output, torch.Tensor):
                return
            if call.began is not None:
                self.clock.span(call.tally.forward_s, call.began, self.clock.now(output.is_cuda))
            if call.memory is not None:
                call.memory.after(call.tally)
            if output.grad_fn is not None:
                if call.views and type(output) in PLAIN:
                    time_backward(self.clock, call.tally.backward_s, output, call.views)
                count_backward(call.tally, output.grad_fn)
                if call.inputs:
                    own(call.tally, output.grad_fn, (*call.inputs, *call.views.values()))
        except Exception as error:  # noqa: BLE001 - as in `begin`
            recorder.gap(f"the end of a call of {call.tally.api}", error)
