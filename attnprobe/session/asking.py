"""Who answers the trials: one worker in turn, or several side by side, each with its own child."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from queue import SimpleQueue
from typing import Protocol

from attnprobe.core.trial import Record, Trial
from attnprobe.session.patience import Patience


class Asks(Protocol):
    """What a session needs of a worker (worker.host.Worker; tests have a fake)."""

    def require_torch(self) -> None:
        """Raises UnusableHost when trials cannot run."""
        ...

    def trial(self, trial: Trial, deadline_s: float) -> Record:
        """One trial and what became of it."""
        ...

    def abandon(self) -> None:
        """Kills the child; whoever waits for its answer hears of its death. From any thread."""
        ...

    def leave(self) -> None:
        """Called at the end of a thread that asked: the child must not depend on it any longer."""
        ...


FollowUp = Callable[[Record], tuple[Trial, ...]]
"""The questions that a record raises, asked of the same worker at once; most raise none."""


def answers(
    groups: Iterable[Sequence[Trial]],
    workers: Sequence[Asks],
    deadline_s: float,
    follow_up: FollowUp,
) -> Generator[Record, None, None]:
    """The records of all trials, as they come in; closing the iterator ends what is in flight.

    Args:
        groups: Trials of one case each: they stay with one worker, whose child keeps the reference.
        workers: One answers in this thread; more of them in threads of their own.
        deadline_s: Seconds that one trial may take.
        follow_up: What else is asked after a record.
    """
    patience = Patience(deadline_s)
    if len(workers) == 1:
        for group in groups:
            yield from _group(group, workers[0], patience, follow_up)
    else:
        yield from _side_by_side(groups, workers, patience, follow_up)


def _group(
    group: Sequence[Trial], worker: Asks, patience: Patience, follow_up: FollowUp
) -> Iterator[Record]:
    left = deque(group)
    while left:
        record = patience.ask(left.popleft(), worker.trial)
        yield record
        left.extendleft(reversed(follow_up(record)))


def _side_by_side(
    groups: Iterable[Sequence[Trial]],
    workers: Sequence[Asks],
    patience: Patience,
    follow_up: FollowUp,
) -> Iterator[Record]:
    left, stop = deque(groups), threading.Event()
    heard: SimpleQueue[Record | BaseException | None] = SimpleQueue()

    def work(worker: Asks) -> None:
        try:
            while not stop.is_set():
                for record in _group(left.popleft(), worker, patience, follow_up):
                    if stop.is_set():  # the child was killed under the trial: no fact about it
                        break
                    heard.put(record)
        except IndexError:
            pass  # nothing is left
        except BaseException as error:  # noqa: BLE001 - raised again by whoever listens
            heard.put(error)
        finally:
            worker.leave()
            heard.put(None)

    threads = [threading.Thread(target=work, args=(w,), daemon=True) for w in workers]
    for thread in threads:
        thread.start()
    try:
        working = len(threads)
        while working:
            got = heard.get()
            if isinstance(got, BaseException):
                raise got
            if got is None:
                working -= 1
            else:
                yield got
    finally:
        stop.set()
        for worker, thread in zip(workers, threads, strict=True):
            while thread.is_alive():
                with contextlib.suppress(ProcessLookupError):
                    worker.abandon()
                thread.join(0.2)
