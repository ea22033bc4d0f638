"""Which shared libraries the installed extensions need, and which of them the loader would not find.

Said without importing anything, so that a library that kills its process can be explained too. The
search order is ld.so(8)'s: DT_RPATH, LD_LIBRARY_PATH, DT_RUNPATH, the cache, the default folders. What
`import torch` has loaded by then is found by its soname alone.
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from attnprobe.core.environment import LoadedLibrary
from attnprobe.core.paths import public
from attnprobe.probe import elf

_CACHE_LINE = re.compile(r"^\s+(\S+) \((?=.*(?:x86-64|AArch64)).*\) => (\S+)$", re.MULTILINE)


_SYSTEM = ("/lib", "/usr/lib")  # the system's own libraries are taken to be whole


@dataclass
class Loader:
    """Finds sonames as the dynamic loader would.

    Args:
        folders: DT_RPATH of the interpreter (conda's says where its libraries are), LD_LIBRARY_PATH.
        cache: soname -> path, as `ldconfig -p` prints it.
        defaults: Folders searched last.
        loaded: Sonames that are in the process already, with their paths.
    """

    folders: tuple[str, ...] = ()
    cache: dict[str, str] = field(default_factory=dict)
    defaults: tuple[str, ...] = ()
    loaded: dict[str, str] = field(default_factory=dict)

    def find(self, soname: str, rpath: Iterable[str], runpath: Iterable[str]) -> str:
        """Path of a soname; empty when the loader would not find it."""
        if soname in self.loaded:
            return self.loaded[soname]
        told = (Path(folder) / soname for folder in (*rpath, *self.folders, *runpath))
        cached = (Path(self.cache[soname]),) if soname in self.cache else ()
        usual = (Path(folder) / soname for folder in self.defaults)
        return next((str(path) for path in (*told, *cached, *usual) if path.is_file()), "")

    def load(self, path: str, inherited: tuple[str, ...] = ()) -> dict[str, str]:
        """Loads a file and all it needs, on paper.

        Returns:
            Sonames that are not found -> name of the file that needs them.

        Raises:
            ValueError: The file is no ELF library.
            OSError: It cannot be read.
        """
        library = elf.read(path)
        self.loaded[library.soname or Path(path).name] = path
        self.loaded.setdefault(Path(path).name, path)
        # ld.so(8): DT_RPATH also serves what this library needs, unless it has a DT_RUNPATH
        rpath = inherited if library.runpath else (*library.rpath, *inherited)
        missing: dict[str, str] = {}
        for soname in library.needed:
            if soname in self.loaded:
                continue
            found = self.find(soname, rpath, library.runpath)
            if not found:
                missing[soname] = Path(path).name
                continue
            self.loaded[soname] = found
            if not found.startswith(_SYSTEM):
                missing |= self._load_needed(found, rpath)
        return missing

    def _load_needed(self, path: str, rpath: tuple[str, ...]) -> dict[str, str]:
        """What a library that was found lacks in turn; it is there, whether or not it can be read."""
        try:
            return self.load(path, rpath)
        except (OSError, ValueError):
            return {}


def system_loader(executable: str) -> Loader:
    """The loader of this machine: the interpreter that loads, the environment, the cache."""
    folders = tuple(f for f in os.environ.get("LD_LIBRARY_PATH", "").split(":") if f)
    with suppress(OSError, ValueError):  # an interpreter that cannot be read tells no folders
        folders = (*elf.read(executable).rpath, *folders)
    machine = f"{platform.machine()}-linux-gnu"
    usual = ("/lib64", "/usr/lib64", "/lib", "/usr/lib", f"/lib/{machine}", f"/usr/lib/{machine}")
    return Loader(folders, _cache(), usual)


def _cache() -> dict[str, str]:
    """What ld.so.cache holds; the first entry of a soname wins. Empty where there is no ldconfig."""
    for command in ("/sbin/ldconfig", "ldconfig"):
        try:
            listed = subprocess.run(
                [command, "-p"], capture_output=True, text=True, timeout=20, check=True
            ).stdout
        except (OSError, subprocess.SubprocessError):
            continue
        found = _CACHE_LINE.findall(listed)
        return dict(reversed(found))
    return {}


def missing(
    extensions: Iterable[tuple[str, str]], roots: Iterable[str], loader: Loader
) -> tuple[tuple[LoadedLibrary, ...], tuple[str, ...]]:
    """What the extensions of installed packages need and would not get after `import torch`.

    Args:
        extensions: (path, distribution) of each extension library.
        roots: Folders on the interpreter's path.
        loader: Where to look.

    Returns:
        The missing libraries, and what could not be read, with the reason.
    """
    roots, found, gaps = tuple(roots), list[LoadedLibrary](), list[str]()
    torch = [
        (path, "torch")
        for name in ("libtorch_global_deps.so", "libtorch_python.so")
        for path in _glob(roots, f"torch/lib/{name}")
    ]
    for path, owner in (*torch, *extensions):
        try:
            lacks = loader.load(path)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            gaps.append(f"needed libraries of {owner}: {public(path)}: {reason}")
            continue
        found += _described(lacks, owner, roots, loader)
    return tuple(found), tuple(gaps)


def _described(
    lacks: dict[str, str], owner: str, roots: tuple[str, ...], loader: Loader
) -> list[LoadedLibrary]:
    return [
        LoadedLibrary(
            name=soname,
            needed_by=f"{owner}: {file}",
            missing=True,
            elsewhere=next(iter(_copies(roots, soname)), ""),
            others=_others(roots, soname, loader),
        )
        for soname, file in lacks.items()
    ]


def _others(roots: tuple[str, ...], soname: str, loader: Loader) -> tuple[str, ...]:
    """Other versions of a library that are loaded, or lie where NVIDIA's wheels put them."""
    stem = soname.split(".so")[0] + ".so."
    names = {name for name in (*loader.loaded, *loader.cache) if name.startswith(stem)}
    names |= {Path(path).name for path in _copies(roots, stem + "*")}
    return tuple(sorted(names - {soname}))


def _copies(roots: tuple[str, ...], pattern: str) -> list[str]:
    """Files in `nvidia/*/lib` and `torch/lib` of any root, named from that root on."""
    return [
        str(Path(path).relative_to(root))
        for root in roots
        for folder in ("nvidia/*/lib", "torch/lib")
        for path in _glob((root,), f"{folder}/{pattern}")
    ]


def _glob(roots: tuple[str, ...], pattern: str) -> list[str]:
    return [str(path) for root in roots for path in sorted(Path(root).glob(pattern))]
