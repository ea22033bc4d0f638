"""Session lines held against the records: the one place where text of unknown origin becomes records."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, TypeVar

from pydantic import Field, TypeAdapter, ValidationError
from pydantic_core import CoreSchema, core_schema, from_json

from attnprobe import masks
from attnprobe.core.mask import Mask
from attnprobe.errors import AttnprobeError
from attnprobe.session.lines import Header, Line, RecordLine

T = TypeVar("T")

_INT64 = range(-(2**63), 2**63)


class Unreadable(ValueError):
    """A line is not what it should be; the text says how, in one line of printable characters."""


def read_header(line: bytes) -> Header:
    """The header in a line.

    Raises:
        Unreadable: It is none.
    """
    return validated(_header(), line)


def read_line(line: bytes) -> Line:
    """What a line after the header says.

    Raises:
        Unreadable: Nothing that this version knows.
    """
    found = validated(_line(), line)
    if isinstance(found, RecordLine) and found.record.trial.case.problems:
        raise Unreadable(f"its case is none: {found.record.trial.case.problems[0]}")
    return found


def validated(adapter: TypeAdapter[T], line: bytes) -> T:
    """A record of any kind from its JSON.

    Raises:
        Unreadable: It is none of that kind.
    """
    try:
        data = from_json(line)  # limits nesting by itself, and refuses lone surrogates
        _hold_in_range(data)
        return adapter.validate_python(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise Unreadable(ascii(f"{place}: {first['msg']}")[1:-1][:300]) from None
    except ValueError as error:
        raise Unreadable(ascii(str(error))[1:-1][:300]) from None


def _hold_in_range(data: Any) -> None:
    """JSON knows integers of any size; no number of ours is that large, and formatting one may fail.

    Raises:
        ValueError: An integer beyond 64 bits.
    """
    match data:
        case dict():
            for value in data.values():
                _hold_in_range(value)
        case list():
            for value in data:
                _hold_in_range(value)
        case int() if data not in _INT64:
            raise ValueError("an integer beyond 64 bits")


def _mask(text: Any) -> Mask:
    """A mask from its spelling."""
    if not isinstance(text, str):
        raise ValueError("a mask is written as text")  # noqa: TRY004 - pydantic wants a ValueError
    try:
        return masks.parse(text)
    except (AttnprobeError, TypeError) as error:
        raise ValueError(str(error).splitlines()[0]) from None


def _mask_schema(source: Any, handler: Any) -> CoreSchema:
    return core_schema.no_info_plain_validator_function(_mask)


# In records a mask is its spelling. This is pydantic's hook for that, set from here because core knows
# neither pydantic nor the mask families.
Mask.__get_pydantic_core_schema__ = staticmethod(_mask_schema)  # type: ignore[attr-defined]


@cache
def _header() -> TypeAdapter[Header]:
    """Built when the first file is read: that takes longer than all of `diagnose --no-run` may."""
    return TypeAdapter(Header)


@cache
def _line() -> TypeAdapter[Line]:
    return TypeAdapter(Annotated[Line, Field(discriminator="type")])
