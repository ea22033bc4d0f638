"""One trial in the child: inputs, preparation, launch, gradients, verdict, and time where asked for."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from time import perf_counter

import torch
from torch import Tensor

from attnprobe.core.case import Case
from attnprobe.core.outcome import Measured, Outcome, Refused
from attnprobe.core.parity import Failure, Parity
from attnprobe.core.timing import Timing
from attnprobe.core.trial import Trial
from attnprobe.device import backends, reference, room
from attnprobe.device.backends import _leaves
from attnprobe.device.backends._claim import failed
from attnprobe.device.backends.base import Backend, Prepared
from attnprobe.device.inputs import Inputs, Outputs, make
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
        launched = _launch(prepared, inputs, announce)
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
    seen, unexpected = _kernels(backend, prepared, trial)
    timing = None
    if trial.question == "time":
        announce("time")
        timing = _timing(backend, prepared, inputs, parity, launched.first_call_s)
    return Measured(prepared.form, parity, timing, seen, unexpected)


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


@dataclass(frozen=True)
class _Launched:
    outputs: Outputs
    first_call_s: float


def _launch(
    prepared: Prepared, inputs: Inputs, announce: Callable[[str], None]
) -> _Launched | Failure:
    """Forward, backward and log-sum-exp, canonical; a Failure when the output is no output at all."""
    case, layout = inputs.case, prepared.layout
    start = perf_counter()
    native = prepared.launch()
    _wait(case)
    first_call_s = perf_counter() - start
    wrong = _malformed(native, prepared, case)
    if wrong:
        return wrong
    lse = None
    if prepared.lse is not None:
        with torch.no_grad():
            lse = prepared.lse()
    gradients: dict[str, Tensor] = {}
    if case.wants_backward:
        announce("backward")
        gradients = _gradients(native, prepared, inputs)
        _wait(case)
    found = {
        f"d{name}": layout.canonical(name, g) for name, g in gradients.items() if name != "bias"
    }
    if "bias" in gradients:
        found["dbias"] = _leaves.bias_gradient(inputs, gradients["bias"])
    return _Launched(Outputs(layout.canonical("out", native.detach()), lse, **found), first_call_s)


def _gradients(native: Tensor, prepared: Prepared, inputs: Inputs) -> dict[str, Tensor]:
    """By leaf; what the library gives no gradient for is left out, and the judge calls it missing."""
    wanted = {name: leaf for name, leaf in prepared.leaves.items() if leaf.requires_grad}
    if not native.requires_grad or not wanted:
        return {}
    dout = prepared.layout.native("out", inputs.dout)
    given = torch.autograd.grad(native, tuple(wanted.values()), dout, allow_unused=True)
    return {name: g for name, g in zip(wanted, given, strict=True) if g is not None}


def _malformed(native: object, prepared: Prepared, case: Case) -> Failure | None:
    if not isinstance(native, Tensor):
        return Failure("type", f"returned {type(native).__name__}, not a tensor")
    if native.dtype is not getattr(torch, case.dtype):
        return Failure("dtype", f"returned {native.dtype}; the inputs are torch.{case.dtype}")
    if native.device.type != case.device.partition(":")[0]:
        return Failure(
            "device", f"returned a tensor on {native.device}; inputs are on {case.device}"
        )
    try:
        shape = tuple(prepared.layout.canonical("out", native.detach()).shape)
    except (IndexError, RuntimeError, ValueError):
        shape = tuple(native.shape)
    if shape != case.out_shape:
        return Failure("shape", f"returned shape {shape}; expected {case.out_shape}")
    return None


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


def _wait(case: Case) -> None:
    """Lets an asynchronous error surface in the phase that caused it."""
    if case.device.startswith("cuda"):
        torch.cuda.synchronize()
