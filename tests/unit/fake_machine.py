"""An environment without a fault, and facts to go with it: each test of a rule plants its own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from attnprobe.core.backend_fact import BackendFact, Claim, Fact, Launch
from attnprobe.core.environment import Environment, Gpu, Package, Torch

H200 = Gpu(
    index=0,
    uuid="GPU-aa11",
    name="NVIDIA H200",
    capability=(9, 0),
    memory_bytes=150 * 2**30,
    memory_used_bytes=2**29,
    sm_clock_mhz=(1980, 1980),
    power_w=(80.0, 700.0),
    ecc=True,
    ecc_errors=0,
    mig=False,
    processes=0,
    multiprocessors=132,
)

TORCH = Torch(
    "2.11.0+cu130",
    cuda="13.0",
    cudnn="9.19.0",
    arch_list=("sm_75", "sm_80", "sm_90", "sm_100", "sm_120", "compute_120"),
    flags={"flash_compiled": "True"},
    threads=8,
)

XFORMERS = Package("xformers", "0.0.35", "built for torch 2.10.0+cu128", provides=("xformers",))

MACHINE = Environment(
    attnprobe="0.1.0",
    python="3.12.3",
    os="Linux",
    cpu="CPU",
    cores=16,
    driver="580.95",
    cuda_driver="13.0",
    gpus=(H200,),
    packages=(Package("torch", "2.11.0+cu130"), Package("nvidia-cudnn-cu13", "9.19.0"), XFORMERS),
    torch=TORCH,
)


def machine(**changes: Any) -> Environment:
    """The faultless machine with some fields changed."""
    return replace(MACHINE, **changes)


def with_packages(*packages: Package) -> Environment:
    """The faultless machine with these distributions besides."""
    return machine(packages=MACHINE.packages + packages)


def with_gpu(**changes: Any) -> Environment:
    """The faultless machine whose GPU is different."""
    return machine(gpus=(replace(H200, **changes),))


def with_torch(**changes: Any) -> Environment:
    """The faultless machine whose torch is different."""
    return machine(torch=replace(TORCH, **changes))


def backend(
    name: str, fact: Fact, package: str = "torch", reason: str = "", **more: Any
) -> BackendFact:
    """A backend that calls itself available, with one launch."""
    reasons = (reason,) if reason else ()
    launches = (Launch("bfloat16", "fwd", fact, reasons),)
    return BackendFact(name, package, "1", Claim(True), fact, launches, reasons, **more)
