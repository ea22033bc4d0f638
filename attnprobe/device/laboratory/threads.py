"""Two threads that call at once each get their own result.

Finds scratch memory that all calls share: data-parallel replicas and servers call from several
threads, and autograd runs the backwards of a GPU in a thread of its own. A right kernel keeps what it
works on with the call, or holds a lock; of a class each thread has its own instance, as replicas have.
Each result is held to the reference of what its thread passed. The choice of a kernel, which belongs to
the process, is made once for both.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier, BrokenBarrierError

from attnprobe.core.parity import Failure
from attnprobe.device import remembered
from attnprobe.device.backends.base import Prepared
from attnprobe.device.inputs import Inputs, Outputs, make
from attnprobe.device.laboratory import Skipped, _judged
from attnprobe.device.launch import launch
from attnprobe.device.subject import Malformed, Subject

ROUNDS = 8
"""Calls of each thread, begun together: one call alone may be over before the other has begun."""


def examine(subject: Subject) -> tuple[Failure, ...] | Skipped:
    """The case's own inputs in one thread, other numbers in the other."""
    hindrance = _judged.hindrance(subject)
    if hindrance is not None:
        return hindrance
    case = subject.case
    given = (subject.inputs, make(case.edit(seed=case.seed + 1)))
    other = replace(subject, backend=subject.backend.another())
    prepared = [who.prepare(inputs) for who, inputs in zip((subject, other), given, strict=True)]
    together = Barrier(len(given))
    with prepared[0].around(), ThreadPoolExecutor(len(given)) as pool:
        futures = [pool.submit(_calls, *one, together) for one in zip(prepared, given, strict=True)]
        errors = [future.exception() for future in futures]
    for error in errors:
        if error is not None and not isinstance(error, BrokenBarrierError):
            raise error
    for inputs, future in zip(given, futures, strict=True):
        truth = remembered.truth(inputs.case)
        for outputs in future.result():
            wrong = _judged.failures(subject, outputs, inputs, truth)
            if wrong:
                return _judged.renamed(wrong, "threads", "called from two threads at once")
    return ()


def _calls(prepared: Prepared, inputs: Inputs, together: Barrier) -> list[Outputs]:
    """What one thread gets; an error lets the other thread go."""
    results = []
    try:
        for _ in range(ROUNDS):
            together.wait()
            launched = launch(prepared, inputs, lambda phase: None)
            if isinstance(launched, Failure):
                raise Malformed(launched)
            results.append(launched.outputs)
    finally:
        if len(results) < ROUNDS:
            together.abort()
    return results
