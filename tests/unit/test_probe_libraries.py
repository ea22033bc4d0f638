"""What a library needs is read from the file, and looked for as the loader would."""

from __future__ import annotations

import struct
import sys
from pathlib import Path

import pytest

from attnprobe.probe import elf, libraries
from attnprobe.probe.libraries import Loader


def write_library(
    path: Path, needed: tuple[str, ...] = (), soname: str = "", runpath: str = "", rpath: str = ""
) -> Path:
    """The smallest ELF file with a dynamic section: a header, three segments, strings, entries."""
    strings, entries = b"\0", []
    told = [(1, n) for n in needed] + [(14, soname), (29, runpath), (15, rpath)]
    for tag, text in told:
        if text:
            entries.append((tag, len(strings)))
            strings += text.encode() + b"\0"
    base = 0x1000  # virtual address of file offset 0, so that the two differ
    table = 64 + 3 * 56
    entries += [(5, base + table), (10, len(strings)), (0, 0)]
    dynamic = b"".join(struct.pack("<QQ", *entry) for entry in entries)
    at = table + len(strings)
    size = at + len(dynamic)
    header = b"\x7fELF\x02\x01\x01" + bytes(9)
    header += struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, 64, 0, 0, 64, 56, 3, 0, 0, 0)
    data = struct.pack("<IIQQQQQQ", 1, 6, 0, 64 * base, 64 * base, size, size, 4096)
    load = struct.pack("<IIQQQQQQ", 1, 5, 0, base, base, size, size, 4096)
    segment = struct.pack(
        "<IIQQQQQQ", 2, 6, at, base + at, base + at, len(dynamic), len(dynamic), 8
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(header + data + load + segment + strings + dynamic)
    return path


def test_the_dynamic_section_is_read(tmp_path: Path) -> None:
    """Needed sonames in order, its own, and its folders with $ORIGIN resolved."""
    path = write_library(
        tmp_path / "lib/liba.so", ("libb.so.1", "libc.so.6"), "liba.so.3", "$ORIGIN/../x:${ORIGIN}"
    )
    found = elf.read(path)
    assert found.needed == ("libb.so.1", "libc.so.6")
    assert found.soname == "liba.so.3"
    assert found.runpath == (f"{tmp_path}/lib/../x", f"{tmp_path}/lib")
    assert found.rpath == ()


def test_a_real_library_is_read() -> None:
    """The C library of this machine, found through the loader's cache."""
    cache = libraries.system_loader(sys.executable).cache
    if "libc.so.6" not in cache:
        pytest.skip("this machine has no ldconfig cache")
    assert elf.read(cache["libc.so.6"]).soname == "libc.so.6"


@pytest.mark.parametrize("content", [b"", b"/* linker script */", b"\x7fELF\x01\x01" + bytes(60)])
def test_what_is_no_library_is_an_error(tmp_path: Path, content: bytes) -> None:
    """Empty, a text file, 32 bits: one kind of error, no crash."""
    path = tmp_path / "x.so"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="ELF"):
        elf.read(path)


def test_a_truncated_library_is_an_error(tmp_path: Path) -> None:
    """Cut anywhere, it is never anything but a ValueError (or still whole)."""
    whole = write_library(tmp_path / "x.so", ("liba.so",)).read_bytes()
    for length in range(0, len(whole), 7):
        (tmp_path / "cut.so").write_bytes(whole[:length])
        with pytest.raises(ValueError, match="ELF"):
            elf.read(tmp_path / "cut.so")


def test_a_foreign_cuda_runtime_is_missing_and_the_present_one_named(tmp_path: Path) -> None:
    """An extension for CUDA 12 beside a torch for CUDA 13."""
    nvidia = tmp_path / "nvidia/cu13/lib"
    write_library(nvidia / "libcudart.so.13", soname="libcudart.so.13")
    write_library(
        tmp_path / "torch/lib/libtorch_python.so",
        ("libcudart.so.13",),
        "libtorch_python.so",
        "$ORIGIN/../../nvidia/cu13/lib",
    )
    own = write_library(
        tmp_path / "xformers/_C.so", ("libtorch_python.so", "libcudart.so.12", "libc.so.6")
    )
    libc = write_library(tmp_path / "system/libc.so.6", soname="libc.so.6")
    loader = Loader(cache={"libc.so.6": str(libc)})
    ((found,), gaps) = libraries.missing([(str(own), "xformers")], [str(tmp_path)], loader)
    assert (found.name, found.needed_by, found.missing) == (
        "libcudart.so.12",
        "xformers: _C.so",
        True,
    )
    assert found.others == ("libcudart.so.13",)
    assert found.elsewhere == ""
    assert gaps == ()


def test_a_copy_that_the_loader_is_not_told_of_is_named(tmp_path: Path) -> None:
    """nvidia-cuda-runtime-cu12 is installed, and nothing points the loader at it."""
    site = tmp_path / "site-packages"
    write_library(site / "nvidia/cuda_runtime/lib/libcudart.so.12")
    own = write_library(site / "xformers/_C.so", ("libcudart.so.12",))
    asked = [(str(own), "xformers")]
    ((found,), _) = libraries.missing(asked, [str(site)], Loader())
    assert found.others == ()
    assert found.elsewhere == "nvidia/cuda_runtime/lib/libcudart.so.12"
    told = Loader(folders=(str(site / "nvidia/cuda_runtime/lib"),))
    assert libraries.missing(asked, [str(site)], told) == ((), ())


def test_needs_of_needs_are_followed(tmp_path: Path) -> None:
    """A library that is found may itself lack something; DT_RPATH serves it, DT_RUNPATH does not."""
    inner = tmp_path / "inner"
    write_library(inner / "libb.so", ("libc9.so",), "libb.so")
    write_library(inner / "libc9.so", soname="libc9.so")
    with_rpath = write_library(tmp_path / "a.so", ("libb.so",), rpath=str(inner))
    with_runpath = write_library(tmp_path / "b.so", ("libb.so",), runpath=str(inner))
    assert Loader().load(str(with_rpath)) == {}
    assert Loader().load(str(with_runpath)) == {"libc9.so": "libb.so"}


def test_the_interpreter_and_the_defaults_are_searched(tmp_path: Path) -> None:
    """Conda's Python carries a DT_RPATH for all that it loads; the default folders come last."""
    python = write_library(tmp_path / "bin/python", rpath="$ORIGIN/../lib")
    write_library(tmp_path / "lib/libcudart.so.12", soname="libcudart.so.12")
    write_library(tmp_path / "usual/libm.so.6", soname="libm.so.6")
    own = write_library(tmp_path / "_C.so", ("libcudart.so.12", "libm.so.6"))
    loader = libraries.system_loader(str(python))
    assert loader.folders[0] == f"{tmp_path}/bin/../lib"
    alone = Loader(folders=loader.folders[:1], defaults=(str(tmp_path / "usual"),))
    assert alone.load(str(own)) == {}
    assert set(Loader().load(str(own))) == {"libcudart.so.12", "libm.so.6"}


def test_a_cycle_of_needs_ends(tmp_path: Path) -> None:
    """Two libraries that need each other."""
    write_library(tmp_path / "liba.so", ("libb.so",), "liba.so", "$ORIGIN")
    write_library(tmp_path / "libb.so", ("liba.so",), "libb.so", "$ORIGIN")
    assert Loader().load(str(tmp_path / "liba.so")) == {}


def test_an_unreadable_extension_is_a_gap(tmp_path: Path) -> None:
    """RECORD names a file that is gone: said, not skipped."""
    found, gaps = libraries.missing([(str(tmp_path / "gone.so"), "xformers")], [], Loader())
    assert found == ()
    assert gaps == ("needed libraries of xformers: <path>/gone.so: No such file or directory",)
