"""A workload out of command-line options: one call, described without a file."""

from __future__ import annotations

from collections.abc import Sequence

import yaml

from attnprobe.errors import UsageError
from attnprobe.workload import Workload, parse

NAME = "the command line"

DIMS = ("B", "Hq", "Hkv", "Mq", "Mkv", "K")


def described(
    shape: str,
    dtypes: Sequence[str],
    masks: Sequence[str],
    backend: str,
    habits: Sequence[str],
    fields: Sequence[str],
) -> Workload:
    """The call as a workload; what is wrong with it is said as of a file.

    Args:
        shape: `B,Hq,Hkv,Mq,Mkv,K`.
        dtypes: Element types; bfloat16 where there is none.
        masks: As in a workload.
        backend: What the code calls; empty for scaled_dot_product_attention.
        habits: What the code does around it.
        fields: Any other field of a case, `NAME=VALUE`, the value as YAML.

    Raises:
        UsageError: Not six positive integers, or a field that no case has.
    """
    parts = [part.strip() for part in shape.split(",")]
    if len(parts) != len(DIMS) or not all(part.isdecimal() and int(part) for part in parts):
        raise UsageError(
            f"--shape {shape[:60]!r} is not a shape", fix=f"six integers: {','.join(DIMS)}"
        )
    case: dict[str, object] = dict(zip(DIMS, map(int, parts), strict=True))
    if dtypes:
        case["dtype"] = list(dtypes)
    if masks:
        case["mask"] = list(masks)
    if backend:
        case["backend"] = backend
    if habits:
        case["habits"] = list(habits)
    for field in fields:
        name, equals, value = field.partition("=")
        if not equals:
            raise UsageError(f"--case {field[:60]!r} says no value", fix="--case NAME=VALUE")
        try:
            case[name] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise UsageError(
                f"--case {field[:60]!r} is no YAML", fix="--case layout=BMHK"
            ) from None
    text = yaml.safe_dump({"name": NAME, "cases": [case]}, default_flow_style=None, width=10_000)
    return parse(text, NAME)
