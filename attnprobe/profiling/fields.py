"""What `--sweep FIELD=VALUE` makes of a case: one function per field, each one edit."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from attnprobe import masks
from attnprobe.core.case import ELEMENT_BYTES, FAMILIES, LAYOUTS, MASK_FORMS, Case, Lengths
from attnprobe.core.mask import Mask
from attnprobe.errors import UsageError
from attnprobe.profiling import lengths

Edit = Callable[[Case, str], Case]

DTYPES = {"fp32": "float32", "fp16": "float16", "bf16": "bfloat16", "fp64": "float64"}


def edit(case: Case, field: str, value: str) -> Case:
    """The case with one field at another value; `Case.problems` says whether it is a case at all.

    Raises:
        UsageError: No such field, or a value that the field cannot have.
    """
    if field not in FIELDS:
        raise UsageError(
            f"--sweep knows no field {field[:40]!r}", fix=f"fields: {', '.join(FIELDS)}"
        )
    return FIELDS[field](case, value)


def _count(name: str, value: str, least: int = 1) -> int:
    number = int(value) if value.isdecimal() and len(value) < 11 else -1
    if not least <= number < 2**31:
        raise UsageError(f"{name}={value[:40]} is not possible", fix=f"{least} to 2^31 - 1")
    return number


def _share(name: str, value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not 0 <= number < 1:
        raise UsageError(
            f"{name}={value[:40]} is not possible", fix="0 up to, but not including, 1"
        )
    return number


def _one_of(name: str, value: str, known: tuple[str, ...]) -> str:
    if value not in known:
        raise UsageError(f"{name}={value[:40]} is unknown", fix=f"known: {', '.join(known)}")
    return value


def _batch(case: Case, value: str) -> Case:
    """Lengths of their own are repeated for the further sequences."""
    B = _count("B", value)
    if case.lengths is None:
        return case.edit(B=B)
    q, kv = case.lengths.q, case.lengths.kv
    repeated = replace(
        case.lengths,
        q=tuple(q[n % len(q)] for n in range(B)),
        kv=tuple(kv[n % len(kv)] for n in range(B)),
    )
    return case.edit(B=B, lengths=repeated)


def _query_heads(case: Case, value: str) -> Case:
    """Where every query head has its own key head, it keeps one."""
    Hq = _count("Hq", value)
    return case.edit(Hq=Hq, Hkv=Hq if case.groups == 1 else case.Hkv)


def _queries(case: Case, value: str) -> Case:
    Mq = _count("Mq", value)
    if case.lengths is None:
        return case.edit(Mq=Mq)
    scaled = _scaled(case.lengths.q, Mq, case.Mq)
    return case.edit(Mq=Mq, lengths=replace(case.lengths, q=scaled))


def _keys(case: Case, value: str) -> Case:
    Mkv = _count("Mkv", value)
    if case.lengths is None:
        return case.edit(Mkv=Mkv)
    scaled = _scaled(case.lengths.kv, Mkv, case.Mkv)
    return case.edit(Mkv=Mkv, lengths=replace(case.lengths, kv=scaled))


def _scaled(old: tuple[int, ...], longest: int, before: int) -> tuple[int, ...]:
    """Lengths in the same proportion to the longest that is allowed."""
    return tuple(min(longest, round(n * longest / max(1, before))) for n in old)


def _length(case: Case, value: str) -> Case:
    return _keys(_queries(case, value), value)


def _head_dim(case: Case, value: str) -> Case:
    """The values' head dim follows where it was the same."""
    K = _count("K", value)
    return case.edit(K=K, Kv=K if case.Kv == case.K else case.Kv)


def _aligned(case: Case) -> Mask:
    """The case's mask if it says where its diagonal starts; else bottom-right, as decoding means it."""
    return case.mask if case.mask.is_aligned else Mask(None, 0, "bottom-right")


def _window(case: Case, value: str) -> Case:
    """Each query sees this many keys: the one on its diagonal and those right before it."""
    left = _count("window", value) - 1
    align = "top-left" if case.Mq == case.Mkv else _aligned(case).align
    return case.edit(mask=Mask(left, 0, align))


def _density(case: Case, value: str) -> Case:
    """A mask without structure that allows this many pairs of a hundred."""
    percent = _count("density", value, 0)
    if percent > 100:
        raise UsageError(f"density={percent} is not possible", fix="0 to 100 per cent")
    return case.edit(mask=masks.parse(f"arbitrary(seed={case.seed}, percent={percent})"))


def _lengths(case: Case, value: str) -> Case:
    """Lengths drawn from a distribution; keys as long as queries where the case has Mq = Mkv."""
    q = lengths.draw(value, case.B, case.Mq, case.seed)
    kv = q if case.Mq == case.Mkv else lengths.draw(value, case.B, case.Mkv, case.seed + 1)
    storage = case.storage
    name = f"{case.name} lengths={value}".strip()
    return case.edit(lengths=Lengths(q, kv, storage), name=name)


def _storage(case: Case, value: str) -> Case:
    known = ("padded", "packed", "packed-padded-keys")
    full = Lengths((case.Mq,) * case.B, (case.Mkv,) * case.B)
    chosen: Lengths = replace(
        case.lengths or full,
        storage=_one_of("storage", value, known),  # type: ignore[arg-type] # one of Storage's
    )
    return case.edit(lengths=chosen)


def _mask(case: Case, value: str) -> Case:
    return case.edit(mask=masks.parse(value, case.Mq == case.Mkv))


def _softcap(case: Case, value: str) -> Case:
    try:
        cap = None if value == "none" else float(value)
    except ValueError:
        cap = -1.0
    if cap is not None and not 0 < cap < math.inf:
        raise UsageError(f"softcap={value[:40]} is not possible", fix="a positive number, or none")
    return case.edit(score=replace(case.score, softcap=cap))


def _alibi(case: Case, value: str) -> Case:
    wanted = _one_of("alibi", value, ("true", "false")) == "true"
    return case.edit(score=replace(case.score, alibi=wanted))


FIELDS: dict[str, Edit] = {
    "B": _batch,
    "Hq": _query_heads,
    "Hkv": lambda case, value: case.edit(Hkv=_count("Hkv", value)),
    "M": _length,
    "Mq": _queries,
    "Mkv": _keys,
    "K": _head_dim,
    "Kv": lambda case, value: case.edit(Kv=_count("Kv", value)),
    "dtype": lambda case, value: case.edit(
        dtype=_one_of("dtype", DTYPES.get(value, value), tuple(ELEMENT_BYTES))
    ),
    "mask": _mask,
    "window": _window,
    "density": _density,
    "lengths": _lengths,
    "storage": _storage,
    "layout": lambda case, value: case.edit(layout=_one_of("layout", value, LAYOUTS)),
    "mask_form": lambda case, value: case.edit(mask_form=_one_of("mask_form", value, MASK_FORMS)),
    "dropout_p": lambda case, value: case.edit(dropout_p=_share("dropout_p", value)),
    "softcap": _softcap,
    "alibi": _alibi,
    "family": lambda case, value: case.edit(family=_one_of("family", value, FAMILIES)),
    "pass": lambda case, value: case.edit(passes=_one_of("pass", value, ("fwd", "bwd", "fwd+bwd"))),
    "seed": lambda case, value: case.edit(seed=_count("seed", value, 0)),
}
"""Every field that can be swept. `M` is Mq and Mkv together; `window` and `density` are masks."""

MASKS = ("mask", "window", "density")
"""Fields that replace the mask; only one of them can be swept at a time."""
