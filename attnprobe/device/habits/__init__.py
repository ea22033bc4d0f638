"""What people write around an attention call: one habit per file. Importing this imports no torch.

A habit is what no field of a Case can say: heads repeated in the wrong order, a mask built anew for
every call, a benchmark that never waits for the GPU. `habits/kv_tiled.py` is the habit `kv-tiled`, its
first docstring line says what the code does. The file holds any of these:

- `written(query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None,
  enable_gqa=False)`: the call as people write it, with the signature and the contract of
  `scaled_dot_product_attention`; it is judged and timed like any backend, as `written/kv-tiled`;
- `mended(...)`: the same without the habit, where no backend already is that: `mended/kv-tiled`;
- `WRITTEN`, `MENDED`: the same as instances of `Backend`, where the signature says too little;
- `written_shows(inputs)`, `mended_shows(inputs)`: run the call on `Inputs` and return what was seen as
  a dict of numbers by name, for what is neither time nor memory nor a wrong result;
- `CONTRACT`: the numerics contract of `written` and `mended`, if not that of `sdpa-default`.
"""

from __future__ import annotations

import ast
import importlib
import pkgutil
from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from attnprobe.errors import UsageError

if TYPE_CHECKING:
    from attnprobe.device.backends.base import Backend
    from attnprobe.device.inputs import Inputs

SIDES = ("written", "mended")


@cache
def names() -> tuple[str, ...]:
    """All habits, as spelled in workloads."""
    files = (m.name for m in pkgutil.iter_modules(__path__) if m.name[0] != "_")
    return tuple(sorted(name.replace("_", "-") for name in files))


def about(name: str) -> str:
    """What the code does, in one line; read without importing the file, which needs torch.

    Args:
        name: One of `names()`.
    """
    return (ast.get_docstring(_tree(name)) or "").partition("\n")[0].rstrip(".")


def is_call(name: str) -> bool:
    """Whether the code makes the call in its own way, `written/NAME`; else it only looks at it.

    Args:
        name: One of `names()`.
    """
    body = _tree(name).body
    functions = {node.name for node in body if isinstance(node, ast.FunctionDef)}
    targets = [t for node in body if isinstance(node, ast.Assign) for t in node.targets]
    assigned = {target.id for target in targets if isinstance(target, ast.Name)}
    return bool({"written", "WRITTEN"} & (functions | assigned))


@cache
def _tree(name: str) -> ast.Module:
    return ast.parse(Path(__file__).with_name(f"{name.replace('-', '_')}.py").read_text())


def is_side(backend: str) -> bool:
    """Whether a trial's backend is one side of a habit: `written/NAME` or `mended/NAME`."""
    return backend.partition("/")[0] in SIDES and ":" not in backend


def load(side: str) -> Backend:
    """One side of a habit as a backend; needs torch.

    Args:
        side: `written/NAME` or `mended/NAME`.

    Raises:
        UsageError: No such habit, or it has no such side.
    """
    from attnprobe.device.habits._side import Side

    which, name = _parts(side)
    module = _module(name)
    found: Backend | None = getattr(module, which.upper(), None)
    if found is not None:
        return found
    function = getattr(module, which, None)
    if function is None:
        raise UsageError(f"the habit {name} has no `{which}` that could be called")
    return Side(side, function, getattr(module, "CONTRACT", ""))


def demonstrate(side: str, inputs: Inputs) -> dict[str, float]:
    """What one side of a habit shows.

    Args:
        side: `written/NAME` or `mended/NAME`.
        inputs: Those of the case.

    Raises:
        UsageError: No such habit, or it has no such demonstration.
        Exception: Whatever the call raises.
    """
    which, name = _parts(side)
    shows = getattr(_module(name), f"{which}_shows", None)
    if shows is None:
        raise UsageError(f"the habit {name} has no `{which}_shows`")
    found: Mapping[str, float] = shows(inputs)
    return {key: float(value) for key, value in found.items()}


def _parts(side: str) -> tuple[str, str]:
    which, _, name = side.partition("/")
    if which not in SIDES or name not in names():
        near = get_close_matches(name, names(), n=3) or names()[:3]
        raise UsageError(f"unknown habit {side[:60]!r}", fix=f"did you mean {', '.join(near)}?")
    return which, name


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"{__name__}.{name.replace('-', '_')}")
