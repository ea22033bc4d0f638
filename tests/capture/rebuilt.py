"""A mask made again from its record alone: what a record says is what this gives."""

import torch
from torch import Tensor

from attnprobe.core.capture import CapturedMask
from attnprobe.core.mask import NONE


def rebuilt(record: CapturedMask, B: int, Mq: int, Mkv: int, whole: bool = False) -> Tensor:
    """(B, Mq, Mkv) boolean: the pairs that the record allows.

    Args:
        record: What was said.
        B: Batch elements.
        Mq: Queries.
        Mkv: Keys.
        whole: Leave lengths out: those of masks with holes count keys, and do not say which.
    """
    full = torch.zeros(B, Mq, Mkv, dtype=torch.bool)
    if record.kind == "empty":
        return full
    mask = record.mask or NONE

    def fill(plane: Tensor, q_start: int, q: int, kv_start: int, kv: int) -> None:
        i, j = torch.arange(q)[:, None], torch.arange(kv)[None, :]
        plane[q_start : q_start + q, kv_start : kv_start + kv] = mask.allows(i, j, q, kv)

    def of(values: tuple[int, ...], b: int, default: int) -> int:
        return values[b % len(values)] if values and not whole else default

    for b in range(B):
        if record.documents:
            for q_start, q, kv_start, kv in record.documents[b % len(record.documents)]:
                fill(full[b], q_start, q, kv_start, kv)
            continue
        kv, q = of(record.lengths, b, Mkv), of(record.queries, b, Mq)
        fill(full[b], of(record.queries_before, b, 0), q, of(record.padding_left, b, 0), kv)
    return full
