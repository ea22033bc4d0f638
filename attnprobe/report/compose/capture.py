"""A capture: the distinct attention calls of a script, and what was not seen."""

from __future__ import annotations

from collections.abc import Sequence

from attnprobe.core import units
from attnprobe.core.capture import Call, Capture, CapturedMask, TensorFacts
from attnprobe.report.document import (
    Block,
    Bullets,
    Column,
    Document,
    Heading,
    Inline,
    Note,
    Paragraph,
    Table,
    code,
    line,
)

_ROWS = 30
"""Calls that are shown; the file has all."""

_DTYPES = {"float32": "fp32", "float16": "fp16", "bfloat16": "bf16", "float64": "fp64"}


def capture(found: Capture) -> Document:
    """Calls, the most expensive first, then gaps."""
    title = Heading(f"Attention in {found.script}", 1)
    blocks: list[Block] = [title, Paragraph(line(_summary(found)))]
    if found.calls:
        blocks.append(_table(found))
        blocks += _remarks(found)
    else:
        blocks.append(Note("warning", line("No attention call was seen.")))
    if found.gaps:
        items = [line(f"{gap.what}: {gap.why} ({gap.times}x)") for gap in found.gaps]
        blocks += [Paragraph(line("Not seen:")), Bullets(tuple(items))]
    return Document(tuple(blocks))


def _summary(found: Capture) -> str:
    parts = [
        units.counted(sum(call.count for call in found.calls), "call"),
        f"{len(found.calls)} distinct",
        f"torch {found.torch}" if found.torch else "torch was never imported",
        units.counted(found.steps, "optimizer step") if found.steps else "no optimizer step",
        f"{units.seconds(found.step_s)} per step" if found.step_s else "",
        f"rank {found.rank} of {found.world_size}" if found.rank is not None else "",
        f"ended: {found.ended}" if found.ended not in ("exit 0", "") else "",
    ]
    return ", ".join(part for part in parts if part) + "."


def _table(found: Capture) -> Table:
    timed = any(call.seconds is not None for call in found.calls)
    names = ["calls", "what", "q x k", "dtype", "mask", "backend", "where"]
    columns = [Column(name, "right" if name == "calls" else "left") for name in names]
    if timed:
        columns.insert(1, Column("time", "right"))
    rows = tuple(_row(call, found, timed) for call in found.calls[:_ROWS])
    left = len(found.calls) - len(rows)
    return Table(tuple(columns), rows, line(f"{left} more are in the file") if left > 0 else ())


def _row(call: Call, found: Capture, timed: bool) -> tuple[Inline, ...]:
    mask = _mask(call.mask) + (f" +{len(call.other_masks)}" if call.other_masks else "")
    extras = [
        f"dropout {call.dropout_p:g}" if call.dropout_p else "",
        f"softcap {call.softcap:g}" if call.softcap else "",
        "GQA" if call.enable_gqa else "",
    ]
    where = f"{call.caller} > {call.where}" if call.caller else call.where
    cells = [
        line(str(call.count)),
        line(", ".join(part for part in (call.api, *extras) if part)),
        line(_shapes(call)),
        line(_dtype(call)),
        line(mask),
        line(call.backend + (" compiled" if call.compiled else "")),
        line(code(where)),
    ]
    if timed:
        cells.insert(1, line(_time(call, found)))
    return tuple(cells)


def _time(call: Call, found: Capture) -> str:
    """Per step where there are steps, else in all."""
    if call.seconds is None:
        return ""
    if not found.steps:
        return units.seconds(call.seconds)
    each = call.seconds / found.steps
    share = f" {units.share(each / found.step_s)}" if found.step_s else ""
    return f"{units.seconds(each)}{share}"


def _dtype(call: Call) -> str:
    own = _DTYPES.get(call.q.dtype, call.q.dtype)
    return f"{own} (autocast {_DTYPES.get(call.autocast, call.autocast)})" if call.autocast else own


def _shapes(call: Call) -> str:
    """`2x8x512x64`, and the keys where they differ."""
    q, k = _shape(call.q), _shape(call.k)
    lengths = f" ({len(call.keys_seen)} lengths)" if len(call.keys_seen) > 1 else ""
    return (q if q == k else f"{q} / {k}") + lengths


def _shape(tensor: TensorFacts) -> str:
    return "x".join("?" if n < 0 else str(n) for n in tensor.shape)


def _mask(mask: CapturedMask | None) -> str:
    """What it is, and in what form it was passed."""
    if mask is None:
        return ""
    plain = mask.mask is None or mask.mask.is_none
    words = [mask.kind if plain or mask.mask is None else mask.mask.text, *mask.parts[:3]]
    if mask.lengths:
        side = "left" if mask.padding_left else "holes" if mask.holes else "right"
        words.append(f"{_range(mask.lengths)} keys, padding {side}")
    if mask.documents:
        each = [document[3] for row in mask.documents for document in row]
        words.append(f"{len(each)} documents of {_range(each)} keys")
    values = f" + {mask.values}" if mask.values else ""
    return f"{', '.join(words)}{values} [{mask.form}]"


def _range(numbers: Sequence[int]) -> str:
    """`5 to 24`."""
    least, most = min(numbers), max(numbers)
    return str(least) if least == most else f"{least} to {most}"


def _remarks(found: Capture) -> list[Block]:
    """What a table has no room for."""
    said = []
    for call in found.calls:
        if call.mask is not None and call.mask.empty_rows:
            rows = units.counted(call.mask.empty_rows, "query")
            said.append(line(code(call.where), f": {rows} may attend no key"))
        if call.recomputed:
            again = units.counted(call.recomputed, "call")
            said.append(line(code(call.where), f": {again} made again by checkpointing"))
        said += [line(code(call.where), f": {note}") for note in call.notes]
    said += [line(code(place), f" was compiled again {n}x") for place, n in found.recompiles]
    return [Bullets(tuple(dict.fromkeys(said)))] if said else []
