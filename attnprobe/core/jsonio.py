"""Records to JSON and back, with the standard library alone (the child has nothing else).

Non-finite floats become the strings "inf", "-inf" and "nan", because JSON has no word for them; masks
become their spelling. The host validates what it reads with pydantic (session/validation.py); the
child trusts the host and only rebuilds.
"""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from attnprobe.core.mask import Mask

T = TypeVar("T")


def encode(value: Any) -> Any:
    """Any record as plain dicts, lists, strings and numbers."""
    if isinstance(value, Mask):
        return value.text
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: encode(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): encode(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [encode(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def decode(kind: type[T], data: Any, hooks: Mapping[type, Callable[[Any], Any]]) -> T:
    """Rebuilds a record of type `kind` from `encode`'s output.

    Args:
        kind: A dataclass.
        data: What `encode` made of one.
        hooks: Readers for types that are spelled as text, such as `{Mask: masks.parse}`.
    """
    return typing.cast("T", _rebuild(kind, data, hooks))


def _rebuild(kind: Any, data: Any, hooks: Mapping[type, Callable[[Any], Any]]) -> Any:
    if kind in hooks:
        return hooks[kind](data)
    if data is None or kind is Any:
        return data
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        options = [option for option in arguments if option is not type(None)]
        tagged = [o for o in options if dataclasses.is_dataclass(o)]
        if len(tagged) > 1:
            chosen = next(o for o in tagged if getattr(o, "kind", None) == data["kind"])
            return _rebuild(chosen, data, hooks)
        return _rebuild(options[0], data, hooks)
    if origin is tuple:
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return tuple(_rebuild(arguments[0], item, hooks) for item in data)
        return tuple(_rebuild(a, item, hooks) for a, item in zip(arguments, data, strict=True))
    if origin in (dict, Mapping):
        return {key: _rebuild(arguments[1], item, hooks) for key, item in data.items()}
    if dataclasses.is_dataclass(kind):
        known = typing.get_type_hints(kind)
        return typing.cast("Any", kind)(
            **{name: _rebuild(known[name], item, hooks) for name, item in data.items()}
        )
    if kind is float:
        return float(data)
    return data
