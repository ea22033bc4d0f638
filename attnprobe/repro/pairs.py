"""Lines that make what is known of every pair of query and key: `allowed`, `alibi`, the added mask."""

from __future__ import annotations

import math

from attnprobe.core.case import Case
from attnprobe.repro import rule


def needs_allowed(case: Case) -> bool:
    """True when some pair may be forbidden, or a mask tensor is wanted in any case."""
    forced = case.mask_form != "best" and not summed(case)
    return not case.mask.is_none or case.lengths is not None or forced


def may_be_empty(case: Case) -> bool:
    """True when a query may have no key at all; a band leaves out its first or its last rows."""
    if case.lengths is not None:
        return True
    if not case.mask.is_band or not case.Mkv:
        return True
    rows = range(0, case.Mq, max(case.Mq - 1, 1))
    keys = range(case.Mkv)
    return not all(any(case.mask.allows(i, j, case.Mq, case.Mkv) for j in keys) for i in rows)


def sequences(case: Case) -> str:
    """Where the sequences lie, as a list in the script; empty without lengths."""
    if case.lengths is None:
        return ""
    listed = ",\n    ".join(
        str((s.batch, s.q_start, s.Mq, s.kv_start, s.Mkv)) for s in case.sequences
    )
    return (
        f"rows, Tq, Tkv = {case.q_shape[0]}, {case.q_shape[2]}, {case.k_shape[2]}\n"
        "# Of every sequence: its row, first query, queries, first key, keys.\n"
        f"sequences = [\n    {listed},\n]"
    )


def lines(case: Case) -> str:
    """`attends`, `allowed` and `alibi`, as far as the case needs them."""
    parts = []
    if needs_allowed(case):
        parts.append(rule.source(case.mask))
    if needs_allowed(case) or case.score.alibi:
        parts.append(_dense(case))
    return "\n\n\n".join(parts)


def _dense(case: Case) -> str:
    allowed, alibi = needs_allowed(case), case.score.alibi
    found = []
    if alibi:
        found.append(f"slopes = torch.tensor({_slopes(case.Hq)}, device=device)[:, None, None]")
    if case.lengths is None:
        found.append(
            "i, j = torch.arange(Mq, device=device)[:, None], torch.arange(Mkv, device=device)"
        )
        if allowed:
            found.append("allowed = attends(i, j, Mq, Mkv)[None, None]")
        if alibi:
            found.append("alibi = (-slopes * (i + Mkv - Mq - j).abs())[None]")
        return "\n".join(found)
    if allowed:
        found.append("allowed = torch.zeros(rows, 1, Tq, Tkv, dtype=torch.bool, device=device)")
    if alibi:
        found.append("alibi = torch.zeros(rows, Hq, Tq, Tkv, device=device)")
    found += [
        "for b, q0, mq, k0, mkv in sequences:",
        "    i, j = torch.arange(mq, device=device)[:, None], torch.arange(mkv, device=device)",
    ]
    if allowed:
        found.append("    allowed[b, 0, q0 : q0 + mq, k0 : k0 + mkv] = attends(i, j, mq, mkv)")
    if alibi:
        found.append("    there = -slopes * (i + mkv - mq - j).abs()")
        found.append("    alibi[b, :, q0 : q0 + mq, k0 : k0 + mkv] = there")
    return "\n".join(found)


def _slopes(Hq: int) -> list[float]:
    """As device/alibi.py: Press et al., arXiv:2108.12409, section 3."""

    def power_of_two(n: int) -> list[float]:
        return [2.0 ** (-8.0 * (h + 1) / n) for h in range(n)]

    n = 2 ** math.floor(math.log2(Hq))
    return power_of_two(n) + power_of_two(2 * n)[0::2][: Hq - n]


def summed(case: Case) -> bool:
    """True when something besides the mask is added to the logits."""
    return case.score.bias is not None or case.score.alibi


def additive(case: Case, masked: str = "-torch.inf") -> str:
    """Lines that make `mask`, what is added to the logits: bias, ALiBi and `masked`, in one tensor."""
    start = "torch.zeros(1, 1, 1, 1, dtype=dtype, device=device)"
    mask = "bias" if case.score.bias is not None else start
    if case.score.alibi:
        exact = (
            f"mask = {mask}\n"
            "exact = mask.float() + alibi\n"
            "rounded = exact.to(mask.dtype)\n"
            "mask = rounded if torch.equal(rounded.float(), exact) else exact"
        )
        return (
            f"{exact}\nmask = torch.where(allowed, mask, {masked})"
            if needs_allowed(case)
            else exact
        )
    if needs_allowed(case):
        return f"mask = torch.where(allowed, {mask}, {masked})"
    return f"mask = {mask}"


def dense(case: Case) -> tuple[str, str]:
    """(lines, name) of the dense mask that the case asks for; both empty when it needs none."""
    if not summed(case) and not needs_allowed(case):
        return "", ""
    if summed(case) or case.mask_form == "dense-float":
        return additive(case), "mask"
    return "", "allowed"
