"""The machine and its software as records; probe/ (host) and device/facts.py (child) fill them."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Package:
    """A distribution on disk in the diagnosed environment.

    Args:
        name: Distribution name.
        version: Its version.
        build: Wheel tags or build facts worth knowing (`cp312-abi3`, `cu128`).
        editable: True for a development install.
        provides: Top-level import names that it installs.
    """

    name: str
    version: str
    build: str = ""
    editable: bool = False
    provides: tuple[str, ...] = ()


@dataclass(frozen=True)
class LoadedLibrary:
    """A shared library that is mapped into the child, or that a package needs and the loader misses.

    Args:
        name: Soname, e.g. `libcudart.so.12`.
        path: Where it was loaded from; empty when missing.
        needed_by: Which package's library asks for it, when that matters.
        missing: True when the loader does not find it.
        elsewhere: For a missing one: where a copy lies that the loader is not told of, from its
            site-packages on.
        others: For a missing one: other versions of the same library that are there.
    """

    name: str
    path: str = ""
    needed_by: str = ""
    missing: bool = False
    elsewhere: str = ""
    others: tuple[str, ...] = ()


@dataclass(frozen=True)
class Gpu:
    """One GPU as NVML sees it; None for what NVML does not say here.

    Args:
        index: NVML index.
        uuid: Stable identity (redacted in reports).
        name: Product name.
        capability: Compute capability, e.g. (9, 0).
        memory_bytes: Total memory.
        memory_used_bytes: In use when asked.
        sm_clock_mhz: SM clock when asked, and its maximum.
        memory_clock_mhz: Memory clock when asked, and its maximum.
        temperature_c: Degrees Celsius.
        power_w: Draw when asked, and the limit, in watts.
        throttle: Reasons in force, in NVML's words.
        ecc: True when ECC is on.
        ecc_errors: Uncorrected errors since the driver was loaded.
        mig: True when MIG is on.
        processes: Other compute processes on it.
        multiprocessors: Number of SMs (filled by the child).
    """

    index: int
    uuid: str
    name: str
    capability: tuple[int, int] | None = None
    memory_bytes: int | None = None
    memory_used_bytes: int | None = None
    sm_clock_mhz: tuple[int, int] | None = None
    memory_clock_mhz: tuple[int, int] | None = None
    temperature_c: int | None = None
    power_w: tuple[float, float] | None = None
    throttle: tuple[str, ...] = ()
    ecc: bool | None = None
    ecc_errors: int | None = None
    mig: bool | None = None
    processes: int | None = None
    multiprocessors: int | None = None


@dataclass(frozen=True)
class Torch:
    """What a live torch says of itself in the child.

    Args:
        version: torch.__version__.
        cuda: CUDA version it was built for; empty on a CPU build.
        cudnn: cuDNN version in use; empty without.
        hip: ROCm version; empty without.
        arch_list: Architectures its kernels were compiled for.
        debug: Lines of interest (git version, compiler flags) for the folded part of a report.
        flash_impls: What `list_flash_attention_impls()` names.
        sdpa_priority: Order in which SDPA tries its backends.
        flags: Global flags that change attention (TF32, deterministic, SDPA switches).
        threads: Intra-op threads on CPU.
        capabilities: CPU instruction set torch uses (`AVX512`), for CPU results.
    """

    version: str
    cuda: str = ""
    cudnn: str = ""
    hip: str = ""
    arch_list: tuple[str, ...] = ()
    debug: tuple[str, ...] = ()
    flash_impls: tuple[str, ...] = ()
    sdpa_priority: tuple[str, ...] = ()
    flags: dict[str, str] = field(default_factory=dict)
    threads: int = 0
    capabilities: str = ""


@dataclass(frozen=True)
class Environment:
    """Everything that a maintainer asks first. Nothing in here names a person, a host or a secret.

    Args:
        attnprobe: Version of this tool.
        python: Version of the diagnosed interpreter.
        os: Distribution and kernel.
        cpu: Model name.
        cores: Logical cores this process may use.
        memory_bytes: Host memory.
        driver: NVIDIA driver version; empty without.
        cuda_driver: CUDA version that the driver supports; empty without.
        gpus: All GPUs NVML shows.
        packages: Relevant distributions on disk.
        libraries: Loaded and missing shared libraries.
        variables: Environment variables from an allow-list.
        torch: What the live torch says; None when it cannot be imported.
        torch_error: Why not.
        gaps: What could not be found out, and why.
        warnings: Mismatches that were recognised, each with its fix.
    """

    attnprobe: str
    python: str
    os: str
    cpu: str
    cores: int
    memory_bytes: int | None = None
    driver: str = ""
    cuda_driver: str = ""
    gpus: tuple[Gpu, ...] = ()
    packages: tuple[Package, ...] = ()
    libraries: tuple[LoadedLibrary, ...] = ()
    variables: dict[str, str] = field(default_factory=dict)
    torch: Torch | None = None
    torch_error: str = ""
    gaps: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def usable(self) -> bool:
        """True when attention can be run at all: torch was imported."""
        return self.torch is not None
