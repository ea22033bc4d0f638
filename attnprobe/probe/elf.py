"""What a shared library asks of the loader, read from its ELF dynamic section.

Format: System V ABI, chapter 5, "Dynamic Section" (https://refspecs.linuxfoundation.org/elf/gabi4+/).
Only what CUDA wheels are is read: 64 bits, little endian.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_PT_LOAD, _PT_DYNAMIC = 1, 2
_NULL, _NEEDED, _STRTAB, _STRSZ, _SONAME, _RPATH, _RUNPATH = 0, 1, 5, 10, 14, 15, 29


@dataclass(frozen=True)
class Dynamic:
    """The part of a dynamic section that decides what gets loaded.

    Args:
        needed: Sonames that must be loaded with it, in order.
        soname: Its own; empty when it has none.
        rpath: DT_RPATH folders: searched first, also on behalf of what it needs.
        runpath: DT_RUNPATH folders: searched for its own needs only.
    """

    needed: tuple[str, ...]
    soname: str = ""
    rpath: tuple[str, ...] = ()
    runpath: tuple[str, ...] = ()


def read(path: str | Path) -> Dynamic:
    """Reads the dynamic section without loading the library.

    Raises:
        ValueError: Not a 64-bit little-endian ELF file with a dynamic section.
        OSError: The file cannot be read.
    """
    with Path(path).open("rb") as file:

        def at(offset: int, size: int) -> bytes:
            file.seek(offset)
            return file.read(size)

        try:
            # $ORIGIN is where the file was found: package managers that link files rely on it
            return _dynamic(at, Path(path).absolute().parent)
        except (struct.error, StopIteration, ValueError, KeyError):
            raise ValueError("no complete 64-bit ELF library") from None


def _dynamic(at: Callable[[int, int], bytes], origin: Path) -> Dynamic:
    header = at(0, 64)
    if header[:6] != b"\x7fELF\x02\x01":
        raise ValueError
    (start,) = struct.unpack_from("<Q", header, 32)
    size, count = struct.unpack_from("<HH", header, 54)
    segments = [struct.unpack("<IIQQQQQQ", at(start + i * size, 56)) for i in range(count)]
    _, _, offset, _, _, length, _, _ = next(s for s in segments if s[0] == _PT_DYNAMIC)
    entries = list(struct.iter_unpack("<QQ", at(offset, length)))
    entries = entries[: [tag for tag, _ in entries].index(_NULL)]
    last = dict(entries)
    load = next(s for s in segments if s[0] == _PT_LOAD and s[3] <= last[_STRTAB] < s[3] + s[5])
    strings = at(last[_STRTAB] - load[3] + load[2], last[_STRSZ])

    def text(at_byte: int) -> str:
        return strings[at_byte : strings.index(b"\0", at_byte)].decode()

    def folders(tag: int) -> tuple[str, ...]:
        listed = text(last[tag]).split(":") if tag in last else []
        spelled = (
            f.replace("${ORIGIN}", "$ORIGIN").replace("$ORIGIN", str(origin)) for f in listed
        )
        return tuple(f for f in spelled if f)

    needed = tuple(text(value) for tag, value in entries if tag == _NEEDED)
    soname = text(last[_SONAME]) if _SONAME in last else ""
    return Dynamic(needed, soname, folders(_RPATH), folders(_RUNPATH))
