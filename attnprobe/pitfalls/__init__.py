"""The pitfalls of attention, one file each: the file is the registration.

`pitfalls/fp32_inputs.py` holds one `PITFALL` (diagnosis/rule.py) and is called `fp32-inputs`; its
docstring is the page that `attnprobe explain` shows, the first line its title. Rules are pure: they see
records, never torch.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
from difflib import get_close_matches
from functools import cache
from inspect import cleandoc
from pathlib import Path
from types import ModuleType

from attnprobe.diagnosis.rule import Pitfall
from attnprobe.errors import UsageError


@cache
def names() -> tuple[str, ...]:
    """All pitfalls."""
    files = (m.name for m in pkgutil.iter_modules(__path__) if m.name[0] != "_")
    return tuple(sorted(name.replace("_", "-") for name in files))


def load(name: str) -> Pitfall:
    """The rule of that name.

    Args:
        name: One of `names()`.
    """
    found: Pitfall = _module(name).PITFALL
    return found


def page(name: str) -> str:
    """The docstring of the rule's file."""
    return cleandoc(_module(name).__doc__ or "")


def title(name: str) -> str:
    """The first line of its page."""
    return page(name).partition("\n")[0].rstrip(".")


def measured(name: str) -> tuple[str, ...]:
    """What its pair showed on real machines: one line for each, from `measured.json`."""
    rows = _measured().get(name, [])
    return tuple(
        f"{row['machine']}, {row['date']}: predicted {row['predicted']}; "
        f"{row['verdict']}: {row['seen']}"
        for row in rows
    )


@cache
def _measured() -> dict[str, list[dict[str, str]]]:
    path = Path(__file__).with_name("measured.json")
    found: dict[str, list[dict[str, str]]] = json.loads(path.read_text()) if path.exists() else {}
    return found


def find(asked: str) -> str:
    """The name of the pitfall with that code or name.

    Raises:
        UsageError: There is none; says what is near.
    """
    wanted = asked.lower().replace("_", "-")
    codes = {load(name).code.lower(): name for name in names()}
    if wanted in codes or wanted in names():
        return codes.get(wanted, wanted)
    near = get_close_matches(wanted, (*names(), *codes), n=3, cutoff=0.4)
    advice = f"did you mean {', '.join(near)}? " if near else ""
    raise UsageError(
        f"there is no pitfall {asked[:60]!r}", fix=f"{advice}`attnprobe explain` lists them all"
    )


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"{__name__}.{name.replace('-', '_')}")
