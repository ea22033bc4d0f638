"""Matrix products that turn out to be attention: found once through a window, then counted by place."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Hashable
from typing import Any

import torch
from torch.utils._python_dispatch import _disable_current_modes

from attnprobe.capture import look, site
from attnprobe.capture.clock import aliases, count_backward, replaced, time_backward
from attnprobe.capture.facts import autocast, identity
from attnprobe.capture.hand_written.operands import Operands
from attnprobe.capture.hand_written.trail import Trail, sampled_range
from attnprobe.capture.hand_written.window import Window
from attnprobe.capture.later import Later, in_backward, is_traced, may_compute
from attnprobe.capture.names import ORIGINAL, torch_s_own
from attnprobe.capture.seen import Seen
from attnprobe.capture.tally import Tally
from attnprobe.capture.watch import Watch

_TRIES = 2
"""Windows that are opened for a product whose result was never used for attention."""

_MOST = 4096
"""Products that are remembered."""

ReadOperands = Callable[[tuple[Any, ...], dict[str, Any]], "Operands | None"]


class Open:
    """A first product whose second is awaited.

    Attributes:
        key: What makes such products alike.
        operands: The first product's.
        place: Where it is made.
        trail: Follows its result; None for a product that is known and not looked at.
        tally: Where it belongs, once known.
        scores: The autograd node of its result.
        logits: The range of its result.
        views: Views that stand for its operands while the backward pass is timed.
        began: When it began, where that is timed.
        opened: When it was made, in seconds of the host.
    """

    def __init__(self, key: Hashable, operands: Operands, place: site.Place | None) -> None:
        self.key, self.operands, self.place = key, operands, place
        self.trail: Trail | None = None
        self.tally: Tally | None = None
        self.scores: Any = None
        self.logits: Later | None = None
        self.views: dict[int, torch.Tensor] = {}
        self.began: Any = None
        self.opened = time.perf_counter()


class _Thread(threading.local):
    """What a thread waits for.

    Attributes:
        window: Looks at operators; None most of the time.
        followed: First products that are followed by it.
        waiting: A first product that is known, whose second ends its time.
        left: Windows that could not be left yet.
    """

    def __init__(self) -> None:
        self.window: Window | None = None
        self.followed: dict[Trail, Open] = {}
        self.waiting: Open | None = None
        self.left: list[Window] = []


class Products:
    """Watches products for one recorder.

    Args:
        watch: Who puts wrappers in place, and whose recorder is told.
    """

    def __init__(self, watch: Watch) -> None:
        self._watch, self._recorder = watch, watch.recorder
        self._thread = _Thread()
        self._known: dict[Hashable, Tally | int] = {}
        self._seconds: dict[Tally, site.Place | None] = {}
        self._latest: dict[Hashable, Tally] = {}

    def watched(self, original: Callable[..., Any], read: ReadOperands) -> Callable[..., Any]:
        """A function that behaves as `original` does."""
        is_compiling, recorder, product = torch.compiler.is_compiling, self._recorder, self._product
        has_override = torch.overrides.has_torch_function

        @functools.wraps(original, assigned=("__doc__", "__name__", "__qualname__"), updated=())
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            if is_compiling() or not recorder.listening:
                return original(*args, **kwargs)
            if has_override(args) and not torch_s_own(args, kwargs):
                return torch.overrides.handle_torch_function(wrapper, args, *args, **kwargs)
            return product(original, read, args, kwargs)

        del wrapper.__wrapped__
        setattr(wrapper, ORIGINAL, original)
        return wrapper

    def _product(
        self,
        original: Callable[..., Any],
        read: ReadOperands,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        second, first = self._guarded(self._roles, read, args, kwargs) or (None, None)
        if first is not None and first.views:
            args = tuple(_replaced(value, first.views) for value in args)
        out = original(*args, **kwargs)
        if second is not None:
            self._guarded(self._ended, second, out)
        elif first is not None:
            self._guarded(self._begun, first, out)
        return out

    def _guarded(self, what: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return what(*arguments)
        except Exception as error:  # noqa: BLE001 - a bug of ours must not be one of the script
            self._recorder.gap("hand-written attention", error)
            return None

    def _roles(
        self, read: ReadOperands, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[Open | None, Open | None]:
        """(what this product is the second of, what it is the first of), both None for most."""
        operands = read(args, kwargs) if not is_traced() else None
        if operands is None or not operands.plausible:
            return None, None
        place, thread = site.place(), self._thread
        trail = thread.window.trail_to(operands.left) if thread.window else None
        if trail is not None and trail in thread.followed:
            followed = thread.followed.pop(trail)
            self._conclude(followed, trail, operands, place)
            return followed, None
        waiting = thread.waiting
        if waiting is not None and waiting.tally and self._seconds.get(waiting.tally) == place:
            return waiting, None
        if thread.left or (thread.window is not None and not thread.window.busy):
            self.lose()
        alike = (place, identity(operands.left), identity(operands.right))
        if in_backward():  # checkpointing makes a call again, which came another way here
            if (again := self._latest.get(alike)) is not None:
                again.recomputed += 1
            return None, None
        key = (
            "hand-written",
            site.way(),  # unlike other calls', this one's mask is not known when it begins
            *alike,
            torch.is_grad_enabled(),
            autocast(operands.left.device.type),
            torch.are_deterministic_algorithms_enabled(),
        )
        return None, self._first(key, operands, place)

    def _first(self, key: Hashable, operands: Operands, place: site.Place | None) -> Open | None:
        known = self._known.get(key, 0)
        if isinstance(known, int) and (known >= _TRIES or len(self._known) >= _MOST):
            return None
        begun = Open(key, operands, place)
        if isinstance(known, Tally):
            known.count += 1
            begun.tally = known
            if self._recorder.timing and may_compute(operands.left):
                if known.grad_enabled:
                    begun.views = aliases((operands.left, operands.right))
                begun.began = self._watch.clock.now(operands.left.is_cuda)
        return begun

    def _begun(self, begun: Open, out: Any) -> None:
        """The first product is made: what becomes of it?"""
        if not isinstance(out, torch.Tensor):
            return
        tally, thread = begun.tally, self._thread
        if tally is not None:
            thread.waiting = begun
            count_backward(tally, out.grad_fn)
            if not look.due(tally.count, self._recorder):
                return
        elif isinstance(known := self._known.get(begun.key, 0), int):
            self._known[begun.key] = known + 1
        if thread.window is None and not may_compute(out):
            return
        window = thread.window or Window()
        with _disable_current_modes():  # another product may be followed already
            begun.logits, begun.scores, begun.began = sampled_range(out), out.grad_fn, None
            begun.trail = window.follow(out, begun.operands.scale, begun.operands.added)
        thread.followed[begun.trail] = begun
        if thread.window is None:
            window.enter()
            thread.window = window

    def _conclude(
        self, followed: Open, trail: Trail, second: Operands, place: site.Place | None
    ) -> None:
        """The second product: the first call of its kind makes the tally."""
        window = self._thread.window
        assert window is not None
        window.forget(trail)
        if not window.busy:
            self.lose()
        tally = followed.tally
        if tally is None:
            tally = self._made(followed, trail, second)
            if tally is None:
                return
            self._known[followed.key] = followed.tally = tally
            tally.count += 1
            count_backward(tally, followed.scores)
        self._seconds[tally] = place
        operands = followed.operands
        alike = (followed.place, identity(operands.left), identity(operands.right))
        self._latest[alike] = tally
        _told_by(trail, tally)
        if followed.logits is not None and tally.looks < 4:
            tally.logits.append(followed.logits)
        tally.looks += 1
        self._recorder.looked_s += time.perf_counter() - followed.opened

    def _made(self, followed: Open, trail: Trail, second: Operands) -> Tally | None:
        left, right = followed.operands[:2]
        q = followed.operands.queries(left, right)
        k, v = followed.operands.keys(left, right), second.values(second.right)
        seen = Seen(
            q,
            k,
            v,
            layout="BHMK" if q.dim() >= 4 else "BMK",
            dropout_p=trail.dropout_p,
            scale=trail.scale,
            softcap=trail.softcap,
        )
        root, place = self._recorder.root, followed.place

        def made() -> Tally:
            return Tally("hand-written", seen, site.origin(place, root, torch.nn.Module))

        return self._recorder.tally(followed.key, made)

    def _ended(self, ended: Open, out: Any) -> None:
        """The second product is made."""
        self._recorder.called()
        self._thread.waiting = None
        if ended.began is None or ended.tally is None:
            return
        clock, tally = self._watch.clock, ended.tally
        clock.span(tally.forward_s, ended.began, clock.now(out.is_cuda))
        if ended.views:
            time_backward(clock, tally.backward_s, out, ended.views)

    def lose(self) -> None:
        """Nobody follows products any more: those that were are done, or the backward pass begins.

        A mode that was entered since and is still in force lies above the window, which then stays for
        as long, idle.
        """
        thread = self._thread
        thread.followed.clear()
        if thread.window is not None:
            thread.left.append(thread.window)
            thread.window = None
        thread.left = [window for window in reversed(thread.left) if not window.leave()][::-1]


def _replaced(value: Any, views: dict[int, torch.Tensor]) -> Any:
    if isinstance(value, (list, tuple)):
        return type(value)(replaced(item, views) for item in value)
    return replaced(value, views)


def _told_by(trail: Trail, tally: Tally) -> None:
    """What one look adds to the tally."""
    tally.softmax_dtype, tally.steps = trail.softmax_dtype, tuple(trail.steps)
    tally.flags = tally.flags._replace(
        dropout_p=trail.dropout_p, scale=trail.scale, softcap=trail.softcap
    )
    tally.masks += [mask for mask in trail.masks if mask is not None]
    tally.notes = list(dict.fromkeys([*tally.notes, *trail.notes]))
