"""NVML's answers become a record; what it does not answer becomes a gap."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from attnprobe.probe import nvml

GIB = 2**30


class NotSupported(Exception):
    """Stands for pynvml.NVMLError."""


ANSWERS: dict[str, Any] = {
    "nvmlInit": None,
    "nvmlShutdown": None,
    "nvmlSystemGetCudaDriverVersion_v2": 13010,
    "nvmlSystemGetDriverVersion": b"580.95.05",
    "nvmlDeviceGetCount": 1,
    "nvmlDeviceGetHandleByIndex": "handle",
    "nvmlDeviceGetMemoryInfo": SimpleNamespace(total=150 * GIB, used=GIB),
    "nvmlDeviceGetPowerUsage": 81_500,
    "nvmlDeviceGetEnforcedPowerLimit": 700_000,
    "nvmlDeviceGetEccMode": [1, 1],
    "nvmlDeviceGetTotalEccErrors": 0,
    "nvmlDeviceGetMigMode": [0, 0],
    "nvmlDeviceGetComputeRunningProcesses": [object(), object()],
    "nvmlDeviceGetCurrentClocksEventReasons": 0x4 | 0x20 | 0x1,
    "nvmlDeviceGetUUID": "GPU-aa11",
    "nvmlDeviceGetName": "NVIDIA H200",
    "nvmlDeviceGetCudaComputeCapability": (9, 0),
    "nvmlDeviceGetClockInfo": 1200,
    "nvmlDeviceGetMaxClockInfo": 1980,
    "nvmlDeviceGetTemperature": 41,
}


def library(**changes: Any) -> SimpleNamespace:
    """A pynvml that gives these answers; an exception as an answer is raised, `...` is no function."""
    constants = {
        "NVML_CLOCK_SM": 1,
        "NVML_CLOCK_MEM": 2,
        "NVML_TEMPERATURE_GPU": 0,
        "NVML_MEMORY_ERROR_TYPE_UNCORRECTED": 1,
        "NVML_VOLATILE_ECC": 0,
    }

    def query(answer: Any) -> Any:
        def call(*_: Any) -> Any:
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call

    answers = {n: query(a) for n, a in {**ANSWERS, **changes}.items() if a is not ...}
    return SimpleNamespace(NVMLError=NotSupported, **constants, **answers)


def test_every_field_is_filled_in_its_unit() -> None:
    """Watts from milliwatts, a CUDA version from its number, reasons in words, idle left out."""
    found = nvml.read(library())
    (gpu,) = found.gpus
    assert (found.driver, found.cuda_driver, found.gaps) == ("580.95.05", "13.1", ())
    assert gpu.power_w == (81.5, 700.0)
    assert gpu.sm_clock_mhz == (1200, 1980)
    assert gpu.throttle == ("software power cap", "software thermal slowdown")
    assert (gpu.ecc, gpu.ecc_errors, gpu.mig, gpu.processes) == (True, 0, False, 2)
    assert (gpu.memory_bytes, gpu.memory_used_bytes) == (150 * GIB, GIB)


def test_without_nvml_there_is_a_reason() -> None:
    """No driver: nothing is known, and the report says why."""
    found = nvml.read(library(nvmlInit=NotSupported("Driver Not Loaded")))
    assert found.gpus == ()
    assert "Driver Not Loaded" in found.gaps[0]


def test_an_unsupported_query_is_none_and_a_gap() -> None:
    """A consumer card without ECC and power: the rest is told."""
    no = NotSupported("Not Supported")
    found = nvml.read(library(nvmlDeviceGetEccMode=no, nvmlDeviceGetEnforcedPowerLimit=no))
    (gpu,) = found.gpus
    assert (gpu.ecc, gpu.ecc_errors, gpu.power_w) == (None, None, None)
    assert gpu.name == "NVIDIA H200"
    assert found.gaps == (
        "NVML: DeviceGetEnforcedPowerLimit: Not Supported",
        "NVML: DeviceGetEccMode: Not Supported",
    )


def test_ecc_off_is_not_unknown() -> None:
    """Off is an answer; errors are then not counted."""
    (gpu,) = nvml.read(library(nvmlDeviceGetEccMode=[0, 0])).gpus
    assert (gpu.ecc, gpu.ecc_errors) == (False, None)


def test_an_older_driver_is_asked_by_the_older_name() -> None:
    """Throttle reasons were renamed to clocks event reasons."""
    found = nvml.read(
        library(
            nvmlDeviceGetCurrentClocksEventReasons=NotSupported("Function Not Found"),
            nvmlDeviceGetCurrentClocksThrottleReasons=0x40,
        )
    )
    assert found.gpus[0].throttle == ("hardware thermal slowdown",)
    assert found.gaps == ()


def test_a_pynvml_without_the_function_is_a_gap() -> None:
    """An old nvidia-ml-py knows fewer queries."""
    found = nvml.read(library(nvmlDeviceGetMigMode=...))
    assert found.gpus[0].mig is None
    assert len(found.gaps) == 1


def test_the_real_library_is_never_fatal() -> None:
    """With or without a driver on the machine that runs the tests."""
    found = nvml.read()
    assert found.driver or found.gaps
