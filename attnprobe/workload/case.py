"""One point of a grid becomes a Case, or everything that is wrong with it."""

from __future__ import annotations

from typing import Any

from attnprobe import lengths, masks
from attnprobe.core.case import Case, Lengths
from attnprobe.core.score import Bias, Score
from attnprobe.errors import AttnprobeError
from attnprobe.workload.spec import CaseSpec

Problem = tuple[str, str]
"""The field of the entry where it stands, empty for the entry as a whole, and the words."""


def case_of(point: dict[str, Any], spec: CaseSpec) -> Case | tuple[Problem, ...]:
    """The case that a point of the grid of `spec` describes.

    Args:
        point: One value for each field that is given; what is left out follows from the others.
        spec: The entry, for the fields that are no grid.
    """
    try:
        found = _lengths(point)
    except AttnprobeError as error:
        return (("", words(error)),)
    point.setdefault("B", len(found.q) if found else 1)
    point.setdefault("Hkv", point["Hq"])
    point.setdefault("Mkv", point["Mq"])
    point.setdefault("Kv", point["K"])
    square = point["Mq"] == point["Mkv"] and (found is None or found.q == found.kv)
    bias = point.pop("bias")
    score = Score(
        scale=point.pop("scale"),
        softcap=point.pop("softcap"),
        alibi=point.pop("alibi"),
        bias=Bias.parse(bias.shape, bias.requires_grad, bias.dtype, bias.forbids) if bias else None,
    )
    try:
        mask = masks.parse(point.pop("mask"), square)
    except AttnprobeError as error:
        return (("mask", words(error)),)
    case = Case(**point, mask=mask, score=score, lengths=found, device=spec.device, name=spec.name)
    return tuple(("", text) for text in case.problems) or case


def words(error: AttnprobeError) -> str:
    """An error on one line."""
    return "; ".join(filter(None, (error.what, error.why, error.fix)))


def _lengths(point: dict[str, Any]) -> Lengths | None:
    """Takes the length fields out of a point; gives it the Mq and Mkv that it does not name.

    Raises:
        UsageError: Lengths that cannot be drawn.
    """
    both = point.pop("lengths", None)
    q, kv = point.pop("q_lengths", both), point.pop("kv_lengths", both)
    storage, tail = point.pop("storage"), point.pop("tail")
    count = point.get("B")
    q, kv = _drawn(q, count), _drawn(kv, count)
    if q is not None:
        point.setdefault("Mq", max(q))
    if kv is not None:
        point.setdefault("Mkv", max(kv))
    if q is None and kv is None and storage == "padded" and tail == 0:
        return None
    known = q if kv is None else kv
    count = count or (1 if known is None else len(known))
    return Lengths(
        (point["Mq"],) * count if q is None else q,
        (point.get("Mkv", point["Mq"]),) * count if kv is None else kv,
        storage,
        tail,
    )


def _drawn(given: str | list[int] | None, count: int | None) -> tuple[int, ...] | None:
    if isinstance(given, str):
        return lengths.draw(given, count or 1)
    return None if given is None else tuple(given)
