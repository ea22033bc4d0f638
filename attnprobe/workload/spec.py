"""The fields of a workload file: their types, allowed values and meaning (also the JSON Schema's)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from attnprobe import lengths, masks
from attnprobe.core.case import FAMILIES, LAYOUTS, MASK_FORMS, Pass, Storage
from attnprobe.core.reported import Quantity
from attnprobe.device import laboratory, modules
from attnprobe.device.habits import names as habit_names
from attnprobe.workload.fields import (
    BiasShape,
    Contestant,
    Count,
    Dtype,
    Grid,
    Label,
    Length,
    LengthGrid,
    MaskText,
    Number,
    OneOf,
    OrAlone,
    Positive,
    Url,
    listed,
)

WHERE = ("B", "Hq", "Hkv", "Mq", "Mkv", "K", "Kv", "dtype", "pass", "mask_form", "module")
"""What tells the cases of a grid apart for `reported`."""


class _Strict(BaseModel):
    # Rust's engine takes 0.1 s to compile `\w` repeated up to 200 times; Python's takes none
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, regex_engine="python-re")


class BiasSpec(_Strict):
    """An added tensor."""

    shape: BiasShape = Field("1,H,M,N", description="B,H,M,N with 1 where it broadcasts.")
    requires_grad: bool = Field(False, description="Whether its gradient is wanted.")
    dtype: Dtype | None = Field(None, description="Element type; that of the queries if left out.")
    forbids: bool = Field(False, description="A mask of its own: -inf for half of the pairs.")


class CaseSpec(_Strict):
    """An attention call. A list is a grid where the field allows one: every combination is a case."""

    name: Label = Field("", description="What people call it; `reported` and --mask refer to it.")
    B: Grid[Count] = Field([], description="Sequences; as many as there are lengths, else 1.")
    Hq: Grid[Count] = Field([], description="Query heads.")
    Hkv: Grid[Count] = Field([], description="Key and value heads; Hq if left out.")
    Mq: Grid[Length] = Field([], description="Queries; the longest of `lengths` if left out.")
    Mkv: Grid[Length] = Field(
        [], description="Keys; the longest of its lengths or Mq, if left out."
    )
    K: Grid[Count] = Field([], description="Head dim of queries and keys.")
    Kv: Grid[Count] = Field([], description="Head dim of values; K if left out.")
    dtype: Grid[Dtype] = Field(["bfloat16"], description="Element type.")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="Where it is meant to run.")
    passes: Grid[Pass] = Field(
        ["fwd+bwd"], alias="pass", description="Forward, backward alone, or both."
    )
    mask: Grid[MaskText] = Field(
        ["none"],
        description=f"Which pairs attend; terms joined by &: {', '.join(masks.names())}.",
    )
    mask_form: Grid[Annotated[str, OneOf(MASK_FORMS)]] = Field(
        ["best"], description="How the caller passes the mask: as the backend likes it, or dense."
    )
    bias: Grid[BiasSpec | None] = Field([None], description="A tensor added to the logits.")
    scale: Grid[Number | None] = Field([None], description="Softmax scale; K ** -0.5 if left out.")
    softcap: Grid[Positive | None] = Field([None], description="c in c * tanh(logit / c).")
    alibi: Grid[bool] = Field([False], description="Whether ALiBi is added.")
    lengths: LengthGrid = Field(
        [],
        description=f"Tokens per sequence, queries and keys alike: a list, or {lengths.spelled()}.",
    )
    q_lengths: LengthGrid = Field([], description="Queries per sequence, as `lengths`.")
    kv_lengths: LengthGrid = Field([], description="Keys per sequence, as `lengths`.")
    storage: Grid[Storage] = Field(
        ["padded"], description="Slots of Mq and Mkv, one packed row, or packed queries on slots."
    )
    tail: Grid[Length] = Field([0], description="Tokens behind the last sequence of a packed row.")
    layout: Grid[Annotated[str, OneOf(LAYOUTS)]] = Field(["BHMK"], description="Memory layout.")
    family: Grid[Annotated[str, OneOf(FAMILIES)]] = Field(["normal"], description="Values drawn.")
    seed: Grid[Length] = Field([0], description="Seed of the inputs; --seed is added.")
    dropout_p: Grid[Annotated[float, Field(ge=0, lt=1)]] = Field([0.0], description="Dropout.")
    module: Grid[Annotated[str, OneOf(modules.names())]] = Field(
        [], description="The layer of width Hq * K that is timed instead of the call."
    )
    grads: list[Literal["q", "k", "v"]] = Field(
        ["q", "k", "v"], description="Which inputs want gradients."
    )
    ask: Annotated[
        list[Annotated[str, OneOf(("check", "training", *laboratory.names()))]],
        BeforeValidator(listed),
        OrAlone(),
        Field(min_length=1, description="What `attnprobe check` asks of it."),
    ] = ["check"]
    source: str = Field("", description="Where this shape is from, if not where the others are.")
    backend: Contestant | None = Field(None, description="What the user's code calls today.")
    habits: Annotated[
        list[Annotated[str, OneOf(habit_names())]], BeforeValidator(listed), OrAlone()
    ] = Field([], description="What the code does around the call (`attnprobe explain --habits`).")
    calls_per_step: Count = Field(1, description="Calls in one step of the model.")


class NeedsSpec(_Strict):
    """What the user's model needs of an attention call, whatever the case says."""

    bias_grad: bool = Field(False, description="The gradient of the bias.")
    lse: bool = Field(False, description="The log-sum-exp.")
    deterministic: bool = Field(False, description="The same bits every time.")
    dropout: Annotated[float, Field(ge=0, lt=1)] = Field(0.0, description="Its dropout.")
    compile: bool = Field(False, description="The call stands inside torch.compile.")


class NumberSpec(_Strict):
    """One number that the source measured, about one case of this file."""

    case: Label = Field(description="Name of the case.")
    where: dict[Annotated[str, OneOf(WHERE)], int | str] = Field(
        {}, description="Which case of that name, where there are several: {Mq: 4096}."
    )
    backend: Contestant = Field(description="What was measured, by the name it has here.")
    quantity: Quantity = Field(description="Seconds, bytes or FLOP/s, of what.")
    value: Positive = Field(description="In SI units.")
    over: Contestant | None = Field(
        None, description="Then `value` is how many times as much this takes."
    )
    note: str = Field("", description="What hinders a comparison.")


class ReportedSpec(_Strict):
    """What one source measured on one machine."""

    url: Url = Field(description="Where the numbers are to be read.")
    machine: str = Field(min_length=1, max_length=80, description="In the words of the source.")
    note: str = Field("", description="What hinders a comparison of all of them.")
    numbers: Annotated[list[NumberSpec], Field(min_length=1, description="What was measured.")]


class FileSpec(_Strict):
    """The top level; `defaults` and `cases` are checked one by one, so that one error hides no other."""

    name: Label = Field(description="Its name.")
    about: str = Field("", max_length=120, description="In one line, what it is.")
    source: str = Field("", description="Where the shapes come from.")
    backends: Annotated[
        list[Contestant], Field(description="What `profile` compares, if not told.")
    ] = []
    reported: list[ReportedSpec] = Field([], description="What sources measured of these cases.")
    needs: NeedsSpec = Field(
        default=NeedsSpec.model_validate({}), description="What the model needs of any call."
    )
    defaults: dict[str, Any] = Field({}, description="Fields that all cases have.")
    cases: Annotated[
        list[dict[str, Any]], Field(min_length=1, max_length=500, description="The calls.")
    ]
