"""What is installed in the interpreter that runs this file: standard library only, Python 3.8 up.

The host also hands this file's text to a foreign interpreter (probe/packages.py), where
nothing of attnprobe can be imported; so it imports nothing of ours and prints one JSON document.
"""

from __future__ import annotations

import json
import os
import re
import sys
from importlib.metadata import Distribution, distributions
from typing import Any

ATTENTION = re.compile(
    r"xformers|flash-attn.*|flash-attention.*|mslk.*|sageattention|flashinfer.*"
    r"|transformer-engine.*|memory-efficient-attention-pytorch|x-transformers|natten"
)
NEIGHBOURS = re.compile(
    r"torch|triton.*|pytorch-triton.*|nvidia-.*-cu\d+|nvidia-(cudnn|cuda|cublas|nccl|cutlass).*"
    r"|transformers|diffusers|timm|deepspeed|accelerate|peft|bitsandbytes|apex|vllm|torchao"
    r"|torchvision|torchaudio|torchtitan|lightning|pytorch-lightning|numpy|einops|kernels"
)
"""Distributions that a maintainer asks about: those with attention kernels, and those beside them."""


def inventory() -> dict[str, Any]:
    """This interpreter, its path, and each relevant distribution in the order of `sys.path`."""
    found, unread = [], []
    for distribution in distributions():
        try:
            name = re.sub(r"[-_.]+", "-", distribution.metadata["Name"] or "").lower()
            if ATTENTION.fullmatch(name):
                found.append(_describe(name, distribution, files=True))
            elif NEIGHBOURS.fullmatch(name):
                found.append(_describe(name, distribution, files=False))
        except Exception as error:  # noqa: BLE001 - a probe's boundary: one damaged folder is a gap
            folder = os.path.basename(str(getattr(distribution, "_path", "a distribution")))
            unread.append(f"packages: {folder}: {type(error).__name__}: {error}")
    return {
        "python": ".".join(map(str, sys.version_info[:3])),
        "executable": os.path.realpath(sys.executable),
        "roots": [path for path in sys.path if path and os.path.isdir(path)],
        "packages": found,
        "unread": unread,
    }


def _describe(name: str, distribution: Distribution, files: bool) -> dict[str, Any]:
    """One distribution; `files` also reads its RECORD, which is long for some neighbours."""
    wheel = re.findall(r"^Tag: (.+)$", distribution.read_text("WHEEL") or "", re.MULTILINE)
    origin = json.loads(distribution.read_text("direct_url.json") or "{}")
    provides, extensions, build = set(), [], wheel[:1]
    for file in (distribution.files or ()) if files else ():
        top = file.parts[0]
        if top == ".." or top.endswith((".dist-info", ".egg-info", ".pth")):
            continue
        if file.suffix in (".py", ".so", ".pyd"):
            provides.add(top.split(".")[0])
        if file.suffix == ".so":
            extensions.append(str(distribution.locate_file(file)))
        if file.name == "cpp_lib.json":  # xFormers: what its extension was built for
            built = json.loads(file.read_text())["version"]
            build.append("built for torch " + str(built["torch"]))
    return {
        "name": name,
        "version": distribution.version or "",
        "build": "; ".join(build),
        "editable": bool(origin.get("dir_info", {}).get("editable")),
        "provides": sorted(provides),
        "extensions": extensions,
    }


if __name__ == "__main__":
    print(json.dumps(inventory()))
