"""The trial's boundary charges every error to the trial that caused it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType, SimpleNamespace

import pytest

from attnprobe.core.outcome import Measured, Outcome, OutOfMemory, Raised
from attnprobe.worker.guard import Phases, guarded

Install = Callable[[Exception | None], None]


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> Install:
    """Puts a torch in place whose CUDA is in use and whose synchronize raises what is given."""

    def install(error: Exception | None) -> None:
        def synchronize() -> None:
            if error is not None:
                raise error

        module = ModuleType("torch")
        module.cuda = SimpleNamespace(  # type: ignore[attr-defined] # a stand-in
            is_initialized=lambda: True, synchronize=synchronize, empty_cache=lambda: None
        )
        monkeypatch.setitem(sys.modules, "torch", module)

    return install


def guard(act: Callable[[], Outcome]) -> Outcome:
    return guarded(act, Phases(lambda phase: None))


def raising(error: BaseException) -> Callable[[], Outcome]:
    def act() -> Outcome:
        raise error

    return act


def test_an_asynchronous_error_belongs_to_the_trial_that_seemed_fine(cuda: Install) -> None:
    """What synchronize reports turns a measurement into a sticky exception."""
    cuda(RuntimeError("CUDA error: device-side assert triggered"))
    found = guard(lambda: Measured("x"))
    assert isinstance(found, Raised)
    assert found.sticky
    assert found.phase == "synchronize"
    assert "device-side assert" in found.message


def test_an_exception_that_cost_the_device_keeps_its_own_words(cuda: Install) -> None:
    """The first error is the cause; the second only shows that the context is gone."""
    cuda(RuntimeError("CUDA error: an illegal memory access was encountered"))
    found = guard(raising(ValueError("the first")))
    assert isinstance(found, Raised)
    assert (found.type, found.message, found.sticky) == ("ValueError", "the first", True)


def test_an_exception_that_left_the_device_alone_is_not_sticky(cuda: Install) -> None:
    """The child serves on."""
    cuda(None)
    found = guard(raising(ValueError("harmless")))
    assert isinstance(found, Raised)
    assert not found.sticky


def test_a_measurement_with_a_sound_device_stays_one(cuda: Install) -> None:
    """Synchronising changes nothing."""
    cuda(None)
    assert guard(lambda: Measured("x")) == Measured("x")


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OSError(12, "Cannot allocate memory"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
        RuntimeError("CUDA error: out of memory"),
        type("OutOfMemoryError", (RuntimeError,), {})("CUDA out of memory. Tried to allocate"),
    ],
    ids=["python", "system", "cpu", "runtime", "allocator"],
)
def test_every_spelling_of_exhaustion_is_out_of_memory(error: Exception, cuda: Install) -> None:
    """Host and device, Python and C++ say it differently."""
    cuda(None)
    assert isinstance(guard(raising(error)), OutOfMemory)


def test_other_runtime_errors_are_not_out_of_memory(cuda: Install) -> None:
    """Shared memory that a kernel lacks is no exhausted allocator."""
    cuda(None)
    error = RuntimeError("out of resource: shared memory, Required: 262144")
    assert isinstance(guard(raising(error)), Raised)


def test_phases_are_timed_by_name() -> None:
    """A phase that comes twice is one entry."""
    told: list[str] = []
    phases = Phases(told.append)
    for name in ("forward", "verify", "forward"):
        phases.announce(name)
    phases.stop()
    assert told == ["forward", "verify", "forward"]
    assert list(phases.seconds) == ["start", "forward", "verify"]
