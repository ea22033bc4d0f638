"""One file per mask family; the file name is the name in YAML and on the command line.

`masks/sliding_window.py` holds `sliding_window(...)`, is spelled
`sliding-window(left=3, right=0, align=top-left)`, and returns a core `Mask`. Adding a mask is adding a
file: nothing is registered anywhere.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import typing
from collections.abc import Callable
from difflib import get_close_matches
from functools import cache

from attnprobe.core.mask import NONE, Align, Mask
from attnprobe.errors import UsageError

_TERM = re.compile(r"(?P<name>[\w-]+)\s*(?:\((?P<arguments>[^()]*)\))?", re.ASCII)
_INTEGER = re.compile(r"-?[0-9]{1,10}")
LONGEST = 1000  # characters: no mask needs more, and a message repeats what was given


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
        raise UsageError(f"unknown mask {name!r}", fix=_nearest(name, names()))
    file = name.replace("-", "_")
    found: Callable[..., Mask] = getattr(importlib.import_module(f"{__name__}.{file}"), file)
    return found


def parse(text: str, square: bool = False) -> Mask:
    """Reads `causal(align=bottom-right) & dilated(step=2)`; the inverse of `Mask.text`.

    Args:
        text: One or more terms joined by `&`.
        square: True when Mq = Mkv, where a missing `align` is harmless and means top-left.

    Raises:
        UsageError: Every problem of every term, with the nearest known names; or terms that cannot
            be combined.
    """
    if len(text) > LONGEST:
        raise UsageError(f"mask {text[:40]!r}... has {len(text)} characters; at most {LONGEST} fit")
    mask, problems = NONE, list[str]()
    for term in text.split("&"):
        read = _term(term.strip(), square)
        match read:
            case Mask():
                try:
                    mask = mask & read
                except ValueError as error:
                    problems.append(str(error))
            case list():
                problems += read
    if problems:
        raise UsageError(f"mask {text!r} cannot be read", why="\n".join(problems), fix=_spelled())
    return mask


def _term(term: str, square: bool) -> Mask | list[str]:
    """The mask of one term, or all that is wrong with it."""
    match = _TERM.fullmatch(term)
    if not match:
        return [f"{term!r} is not of the form name(key=value, ...)"]
    name = match["name"]
    if name not in names():
        return [f"unknown mask {name!r}: {_nearest(name, names())}"]
    make = constructor(name)
    kinds = typing.get_type_hints(make)
    del kinds["return"]
    given, problems = _arguments(name, match["arguments"] or "", kinds)
    if square and "align" in kinds:
        given.setdefault("align", "top-left")
    for key in (key for key in kinds if key not in given):
        why = " (Mq and Mkv may differ, and libraries disagree on where the diagonal starts)"
        problems.append(f"{name} lacks {key}={_words(kinds[key])}{why if key == 'align' else ''}")
    if problems:
        return problems
    try:
        return make(**given)
    except ValueError as error:
        return [f"{name}: {error}"]


def _arguments(
    name: str, text: str, kinds: dict[str, object]
) -> tuple[dict[str, object], list[str]]:
    """Reads `key=value, ...` against the constructor's annotations."""
    given, problems = dict[str, object](), list[str]()
    for part in text.split(",") if text.strip() else ():
        key, separator, value = (piece.strip() for piece in part.partition("="))
        if not separator:
            problems.append(f"{name}: {part.strip()!r} is not of the form key=value")
        elif key not in kinds:
            takes = _nearest(key, tuple(kinds)) if kinds else "it takes no arguments"
            problems.append(f"{name} has no argument {key!r}: {takes}")
        elif key in given:
            problems.append(f"{name}: {key} is given twice")
        else:
            given[key] = _value(value, kinds[key])
            if given[key] is _UNREADABLE:
                problems.append(f"{name}: {key} is {value!r}; it must be {_words(kinds[key])}")
    return given, problems


_UNREADABLE = object()


def _value(text: str, kind: object) -> object:
    options = typing.get_args(kind)
    if kind == Align:
        return text if text in options else _UNREADABLE
    if text == "none" and type(None) in options:
        return None
    number = int(text) if _INTEGER.fullmatch(text) else 2**31
    return number if abs(number) < 2**31 else _UNREADABLE  # flex counts in 32 bits


def _words(kind: object) -> str:
    if kind == Align:
        return " or ".join(typing.get_args(Align))
    number = "an integer below 2^31"
    return f"{number} or none" if type(None) in typing.get_args(kind) else number


def _nearest(name: str, known: tuple[str, ...]) -> str:
    near = get_close_matches(name.replace("_", "-"), known, n=3) or known
    return f"did you mean {', '.join(near)}?"


def _spelled() -> str:
    """How every family is written, from the constructors themselves."""
    forms = []
    for name in names():
        keys = ", ".join(f"{key}=..." for key in inspect.signature(constructor(name)).parameters)
        forms.append(f"{name}({keys})" if keys else name)
    return f"join terms with &; the masks are {', '.join(forms)}"
