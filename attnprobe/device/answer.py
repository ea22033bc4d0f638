"""One trial in the child: inputs, preparation, launch, gradients, verdict, and time where asked for."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

import torch

from attnprobe.core.case import Case
from attnprobe.core.outcome import Measured, Outcome, Refused
from attnprobe.core.parity import Failure, Parity
from attnprobe.core.timing import Timing
from attnprobe.core.trial import Trial
from attnprobe.device import backends, reference, room
from attnprobe.device.backends._claim import failed
from attnprobe.device.backends.base import Backend, Prepared
from attnprobe.device.inputs import Inputs, Outputs, make
from attnprobe.device.launch import launch
from attnprobe.device.lowering.base import Refusal
from attnprobe.device.measure import measure, observe, unexpected
from attnprobe.device.numerics.judge import judge

NO_KERNEL = re.compile(
    r"No (available kernel|viable backend|operator found)|not implemented for '|no kernel image|"
    r"does not support inputs|(forward|backward) unsupported|NotImplementedError: |"
    r"only supports? (Ampere|Hopper|Blackwell|head dim)|compute capability"
)
"""Errors in which a library says that it has no kernel for the call: SDPA, xFormers,
ATen's dtype dispatch, the CUDA runtime (a GPU that is not in a wheel's arch list) and flash-attn."""

INPLACE = re.compile(r"in-?place operation")
"""autograd's words when an input that it needs was written to."""

SIZE = re.compile(r"[\d.]+ ([KMG]i)?B")

REMEMBERED = 2
"""Cases whose inputs and reference are kept: the one in hand, and the one before it, which shares a
session's order with it (forward, then forward and backward of the same shape)."""


def answer(trial: Trial, announce: Callable[[str], None]) -> Outcome:
    """What became of the trial; whatever is raised is for the caller to judge by the phase.

    Args:
        trial: What is asked.
        announce: Called with the name of every phase that begins: prepare, forward, backward,
            reference, verify, time.
    """
    case = trial.case
    if case.problems:
        return Refused("attnprobe", case.problems)
    announce("prepare")
    backend = backends.load(trial.backend)
    refused = _unavailable(backend) or _too_large(case, backend)
    if refused:
        return refused
    inputs = _inputs(case)
    prepared = backend.prepare(inputs)
    if isinstance(prepared, Refusal):
        return Refused(prepared.by, prepared.reasons, prepared.fix)
    with prepared.around():
        return _run(trial, backend, prepared, inputs, announce)


def _run(
    trial: Trial,
    backend: Backend,
    prepared: Prepared,
    inputs: Inputs,
    announce: Callable[[str], None],
) -> Outcome:
    case = trial.case
    announce("forward")
    if case.dropout_p:
        torch.manual_seed(case.seed)
    try:
        launched = launch(prepared, inputs, announce)
    except (RuntimeError, ValueError, AssertionError) as error:
        if isinstance(error, NotImplementedError) or NO_KERNEL.search(str(error)):
            return Refused("library", (str(error) or type(error).__name__,))
        if not INPLACE.search(str(error)):
            raise
        launched = Failure("inplace", f"an input was written to: {error}")
    if isinstance(launched, Failure):
        parity = Parity("fail", backend.contract(case), failures=(launched,))
        return Measured(prepared.form, parity)
    announce("reference")
    truth = _reference(case)
    announce("verify")
    parity = _verdict(backend, prepared, launched.outputs, inputs, truth)
    seen, foreign = _kernels(backend, prepared, trial)
    timing = None
    if trial.question == "time":
        announce("time")
        timing = _timing(backend, prepared, inputs, parity, launched.first_call_s)
    return Measured(prepared.form, parity, timing, seen, foreign)


@lru_cache(maxsize=REMEMBERED)
def _inputs(case: Case) -> Inputs:
    return make(case)


@lru_cache(maxsize=REMEMBERED)
def _reference(case: Case) -> reference.Reference:
    return reference.compute(_inputs(case))


def forget() -> None:
    """Drops the remembered inputs and references, and the memory they hold."""
    _inputs.cache_clear()
    _reference.cache_clear()


def _unavailable(backend: Backend) -> Refused | None:
    try:
        backend.available()
    except Exception as error:  # noqa: BLE001 - a probe's boundary: a broken import raises anything
        claim = failed(backend, error)
        return Refused("absent" if claim.absent else "broken", (claim.error,))
    return None


def _too_large(case: Case, backend: Backend) -> Refused | None:
    lacking = room.lacking(case, backend.materialises)
    if lacking:
        forget()
        lacking = room.lacking(case, backend.materialises)
    return Refused("memory", lacking) if lacking else None


def _verdict(
    backend: Backend,
    prepared: Prepared,
    outputs: Outputs,
    inputs: Inputs,
    truth: reference.Reference,
) -> Parity:
    parity = judge(outputs, inputs, truth, backend.contract(inputs.case))
    complaints = backend.complaints(prepared, inputs)
    if not complaints:
        return parity
    return replace(parity, verdict="fail", failures=parity.failures + complaints)


_observed: set[tuple[str, str, str, str]] = set()


def _kernels(backend: Backend, prepared: Prepared, trial: Trial) -> tuple[tuple[str, ...], str]:
    """What the profiler saw, and why that is another backend's work.

    Looked at when time was asked for, and else once per backend, device, dtype and kind of mask: a
    profile costs more than a small trial.
    """
    key = (trial.backend, trial.case.device, trial.case.dtype, SIZE.sub("", prepared.form))
    if trial.question == "check" and key in _observed:
        return (), ""
    _observed.add(key)
    seen = observe(prepared.launch, trial.case.device)
    return seen, unexpected(seen, backend.kernels)


def _timing(
    backend: Backend, prepared: Prepared, inputs: Inputs, parity: Parity, first_call_s: float
) -> Timing:
    if parity.verdict == "fail":
        kinds = ", ".join(dict.fromkeys(f.kind for f in parity.failures))
        return Timing(withheld=(f"not timed: the result is wrong ({kinds or 'accuracy'})",))
    # a copy of the inputs would have to be compiled for anew
    prepare = None if backend.compiles else backend.prepare
    return measure(prepared, inputs, prepare=prepare, first_call_s=first_call_s)
