"""The kinds of field that a workload file has: grids, names out of a list, masks, lengths."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, GetCoreSchemaHandler
from pydantic import GetJsonSchemaHandler as JsonHandler
from pydantic_core import CoreSchema, core_schema

from attnprobe import lengths, masks
from attnprobe.core.case import ELEMENT_BYTES
from attnprobe.core.score import Bias
from attnprobe.device import backends, modules
from attnprobe.errors import AttnprobeError

T = TypeVar("T")

Json = dict[str, Any]


class OrAlone:
    """Says in the JSON Schema that a list of one may be written as its element."""

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: JsonHandler) -> Json:
        listed = handler(schema)
        return {"anyOf": [listed["items"], listed]}


@dataclass(frozen=True)
class OneOf:
    """A text out of a list; a wrong one is answered with the nearest."""

    allowed: tuple[str, ...]

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: JsonHandler) -> Json:
        return {**handler(schema), "enum": list(self.allowed)}

    def _check(self, value: str) -> str:
        if value in self.allowed:
            return value
        near = get_close_matches(value, self.allowed, n=2, cutoff=0.5)
        advice = f"did you mean {', '.join(near)}? " if near else ""
        raise ValueError(f"{value[:60]!r} is unknown; {advice}allowed: {', '.join(self.allowed)}")


def listed(value: object) -> object:
    """A lone value as a grid of one."""
    return value if isinstance(value, list) else [value]


def _lengths_listed(value: object) -> object:
    """One list of lengths as a grid of one; a list of lists, or of distributions, is a grid."""
    nested = isinstance(value, list) and any(isinstance(item, list | str) for item in value)
    return value if nested else [value]


def _number(value: object) -> object:
    """YAML 1.1 takes `4e9` for text, since it lacks a sign in its exponent."""
    return float(value) if isinstance(value, str) and _EXPONENT.fullmatch(value) else value


_EXPONENT = re.compile(r"[+-]?[0-9]+(\.[0-9]*)?[eE][+-]?[0-9]{1,3}", re.ASCII)


def _is_contestant(text: str) -> str:
    """A backend, a layer's variant, a glob of either, or a callable (which only a child can load)."""
    variants = (v for layer in modules.names() for v in modules.variants(layer))
    known = list(dict.fromkeys((*backends.names(), *variants)))
    if ":" in text or any(fnmatchcase(name, text) for name in known):
        return text
    near = get_close_matches(text, known, n=3)
    advice = f"did you mean {', '.join(near)}?" if near else "`attnprobe info` lists the backends"
    raise ValueError(f"{text[:60]!r} is no backend and no layer's variant; {advice}")


def _words(error: AttnprobeError) -> str:
    return "; ".join(filter(None, (error.what, error.why, error.fix)))


def _is_mask(text: str) -> str:
    """Family and arguments exist; whether `align` may be left out is decided once lengths are known."""
    try:
        masks.parse(text, square=True)
    except AttnprobeError as error:
        raise ValueError(_words(error)) from None
    return text


def _is_shape(text: str) -> str:
    Bias.parse(text)
    return text


Grid = Annotated[list[T], BeforeValidator(listed), OrAlone(), Field(min_length=1)]
Count = Annotated[int, Field(ge=1, lt=2**31)]
Length = Annotated[int, Field(ge=0, lt=2**31)]
LengthList = Annotated[list[Length], Field(min_length=1, max_length=lengths.MAX_COUNT)]
LengthGrid = Annotated[list[LengthList | str], BeforeValidator(_lengths_listed), OrAlone()]
Dtype = Annotated[str, OneOf(tuple(ELEMENT_BYTES))]
PATTERNS = {
    (LABEL := r"^[\w .,:;+()/&=-]{1,80}$"): (
        "1 to 80 letters, digits, spaces and . , : ; + ( ) / & = - _"
    ),
    (NAME := r"^[\w .,:+/*?-]{1,200}$"): "the name of a backend or of a layer's variant, or a glob",
    (URL := r"^https?://\S{4,300}$"): "an address that begins with https://",
}
"""What patterns ask for, in words."""

Label = Annotated[str, Field(pattern=LABEL)]
Contestant = Annotated[str, Field(pattern=NAME), AfterValidator(_is_contestant)]
Url = Annotated[str, Field(pattern=URL)]
Number = Annotated[float, Field(allow_inf_nan=False), BeforeValidator(_number)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False), BeforeValidator(_number)]
MaskText = Annotated[str, AfterValidator(_is_mask)]
BiasShape = Annotated[str, AfterValidator(_is_shape)]
