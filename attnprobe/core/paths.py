"""A path as it may be shown: enough to tell which copy it is, nothing that names a person."""

from __future__ import annotations

SYSTEM = ("/usr/", "/lib", "/opt/", "/etc/", "/proc/", "/sys/", "/dev/", "/bin/", "/sbin/")
"""Roots whose contents say something about the machine and nothing about its owner."""


def public(path: str) -> str:
    """The part of a path from `site-packages` on, a system path as it is, else `<path>/name`.

    >>> public("/home/someone/venv/lib/python3.12/site-packages/torch/lib/libc10.so")
    'site-packages/torch/lib/libc10.so'
    >>> public("/usr/local/cuda/lib64")
    '/usr/local/cuda/lib64'
    >>> public("/scratch/someone/libgomp.so.1")
    '<path>/libgomp.so.1'
    """
    for packages in ("site-packages", "dist-packages"):
        _, found, rest = path.rpartition(f"/{packages}/")
        if found:
            return f"{packages}/{rest}"
    if path.startswith(SYSTEM) or not path.startswith("/"):
        return path
    name = path.rstrip("/").rpartition("/")[2]
    return f"<path>/{name}" if "." in name else "<path>"
