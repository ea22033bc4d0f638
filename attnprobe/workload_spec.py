"""The fields of a workload file, their types and their allowed values."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from attnprobe import masks
from attnprobe.core.case import ELEMENT_BYTES, FAMILIES, LAYOUTS, MASK_FORMS, Pass, Storage
from attnprobe.core.score import Bias
from attnprobe.device import laboratory, modules
from attnprobe.errors import AttnprobeError

T = TypeVar("T")


def _listed(value: object) -> object:
    """A lone value as a grid of one."""
    return value if isinstance(value, list) else [value]


def _lengths_listed(value: object) -> object:
    """One list of lengths as a grid of one; a list of lists is a grid."""
    nested = isinstance(value, list) and any(isinstance(item, list) for item in value)
    return value if nested else [value]


def _is_mask(text: str) -> str:
    """Family and arguments exist; whether `align` may be left out is decided once lengths are known."""
    try:
        masks.parse(text, square=True)
    except AttnprobeError as error:
        raise ValueError("; ".join(filter(None, (error.what, error.why, error.fix)))) from None
    return text


def _is_shape(text: str) -> str:
    Bias.parse(text)
    return text


def _one_of(allowed: tuple[str, ...]) -> AfterValidator:
    """A validator that names what is allowed, the nearest first."""

    def check(value: str) -> str:
        if value in allowed:
            return value
        near = get_close_matches(value, allowed, n=2, cutoff=0.5)
        advice = f"did you mean {', '.join(near)}? " if near else ""
        raise ValueError(f"{value[:60]!r} is unknown; {advice}allowed: {', '.join(allowed)}")

    return AfterValidator(check)


Grid = Annotated[list[T], BeforeValidator(_listed), Field(min_length=1)]
Count = Annotated[int, Field(ge=1, lt=2**31)]
Length = Annotated[int, Field(ge=0, lt=2**31)]
Lengths = Annotated[list[Length], Field(min_length=1, max_length=4096)]
Dtype = Annotated[str, _one_of(tuple(ELEMENT_BYTES))]
Label = Annotated[str, Field(pattern=r"^[\w .,:;+()/&=-]{1,80}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class BiasSpec(_Strict):
    """An added tensor."""

    shape: Annotated[str, AfterValidator(_is_shape)] = "1,H,M,N"
    requires_grad: bool = False
    dtype: Dtype | None = None
    forbids: bool = False


class CaseSpec(_Strict):
    """One entry of `cases`, or the `defaults` of all: a list is a grid where the field allows one."""

    name: Label = ""
    B: Grid[Count] = [1]
    Hq: Grid[Count] = []
    Hkv: Grid[Count] = []
    Mq: Grid[Length] = []
    Mkv: Grid[Length] = []
    K: Grid[Count] = []
    Kv: Grid[Count] = []
    dtype: Grid[Dtype] = ["bfloat16"]
    device: Literal["auto", "cpu", "cuda"] = "auto"
    passes: Grid[Pass] = Field(default=["fwd+bwd"], alias="pass")
    mask: Grid[Annotated[str, AfterValidator(_is_mask)]] = ["none"]
    mask_form: Grid[Annotated[str, _one_of(MASK_FORMS)]] = ["best"]
    bias: Grid[BiasSpec | None] = [None]
    scale: Grid[Annotated[float, Field(allow_inf_nan=False)] | None] = [None]
    softcap: Grid[Annotated[float, Field(gt=0, allow_inf_nan=False)] | None] = [None]
    alibi: Grid[bool] = [False]
    q_lengths: Annotated[list[Lengths], BeforeValidator(_lengths_listed)] = []
    kv_lengths: Annotated[list[Lengths], BeforeValidator(_lengths_listed)] = []
    storage: Grid[Storage] = ["padded"]
    tail: Grid[Length] = [0]
    layout: Grid[Annotated[str, _one_of(LAYOUTS)]] = ["BHMK"]
    family: Grid[Annotated[str, _one_of(FAMILIES)]] = ["normal"]
    seed: Grid[Length] = [0]
    dropout_p: Grid[Annotated[float, Field(ge=0, lt=1)]] = [0.0]
    module: Grid[Annotated[str, _one_of(modules.names())]] = []
    grads: list[Literal["q", "k", "v"]] = ["q", "k", "v"]
    ask: Annotated[
        list[Annotated[str, _one_of(("check", "training", *laboratory.names()))]],
        BeforeValidator(_listed),
        Field(min_length=1),
    ] = ["check"]
    source: str = ""
    backend: Label = ""
    calls_per_step: Count = 1


class NeedsSpec(_Strict):
    """What the user's model needs of an attention call, whatever the case says."""

    bias_grad: bool = False
    lse: bool = False
    deterministic: bool = False
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0


class FileSpec(_Strict):
    """The top level; `defaults` and `cases` are checked one by one, so that one error hides no other."""

    name: Label
    source: str = ""
    reported: dict[str, Any] = {}
    needs: NeedsSpec = NeedsSpec()
    defaults: dict[str, Any] = {}
    cases: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=500)]
