"""One file per mask family; the file name is the name in YAML and on the command line.

`masks/sliding_window.py` holds `sliding_window(...)`, is spelled `sliding-window(left=3, right=0)`, and
returns a core `Mask`. Adding a mask is adding a file: nothing is registered anywhere.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable
from difflib import get_close_matches
from functools import cache

from attnprobe.core.mask import NONE, Mask
from attnprobe.errors import UsageError

_TERM = re.compile(r"^(?P<name>[a-z][a-z0-9_-]*)\s*(?:\((?P<arguments>[^()]*)\))?$")


@cache
def names() -> tuple[str, ...]:
    """All mask families, as spelled in YAML."""
    return tuple(
        sorted(m.name.replace("_", "-") for m in pkgutil.iter_modules(__path__) if m.name[0] != "_")
    )


def constructor(name: str) -> Callable[..., Mask]:
    """The function that makes masks of this family.

    Raises:
        UsageError: No such family; names the nearest ones.
    """
    if name not in names():
        near = get_close_matches(name, names(), n=3) or names()
        raise UsageError(f"unknown mask {name!r}", fix=f"did you mean {', '.join(near)}?")
    file = name.replace("-", "_")
    found: Callable[..., Mask] = getattr(importlib.import_module(f"{__name__}.{file}"), file)
    return found


def parse(text: str, square: bool = False) -> Mask:
    """Reads `causal(align=bottom-right) & dilated(step=2)`; the inverse of `Mask.text`.

    Args:
        text: One or more terms joined by `&`.
        square: True when Mq = Mkv, where a missing `align` is harmless and means top-left.

    Raises:
        UsageError: Unknown family or argument, a missing `align`, or terms that cannot be combined.
    """
    mask = NONE
    for term in text.split("&"):
        try:
            mask = mask & _term(term.strip(), square)
        except ValueError as error:
            raise UsageError(f"mask {text!r} cannot be built", why=str(error)) from None
    return mask


def _term(term: str, square: bool) -> Mask:
    match = _TERM.match(term)
    if not match:
        raise UsageError(
            f"mask {term!r} is not of the form name(key=value, ...)",
            fix=f"known masks: {', '.join(names())}",
        )
    make = constructor(match["name"])
    known = inspect.signature(make).parameters
    given: dict[str, int | float | str] = {}
    for part in filter(None, (p.strip() for p in (match["arguments"] or "").split(","))):
        key, separator, value = (piece.strip() for piece in part.partition("="))
        if not separator or key not in known:
            raise UsageError(
                f"mask {term!r}: {part!r} is not an argument of {match['name']}",
                fix=f"it takes {', '.join(known) or 'no arguments'}",
            )
        given[key] = _value(value)
    if "align" in known and "align" not in given:
        if not square:
            raise UsageError(
                f"mask {term!r} needs align=top-left or align=bottom-right",
                why="Mq and Mkv differ, and libraries disagree on where the diagonal starts",
            )
        given["align"] = "top-left"
    missing = [n for n, p in known.items() if p.default is p.empty and n not in given]
    if missing:
        raise UsageError(f"mask {term!r} lacks {', '.join(missing)}")
    return make(**given)


def _value(text: str) -> int | float | str | None:
    for read in (int, float):
        try:
            return read(text)
        except ValueError:
            continue
    return None if text == "none" else text
