"""Tests that need no tolerance: what must be zero, equal or untouched, bit for bit, in any dtype."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import torch
from torch import Tensor

from attnprobe.core.case import Case
from attnprobe.core.parity import QUANTITIES, Failure
from attnprobe.device.alibi import slopes
from attnprobe.device.inputs import Inputs, Outputs

Run = Callable[[Inputs], Outputs]
"""Launches a backend on inputs of the same case with other tensors; it must not change them."""


def allowed(case: Case, device: torch.device, keys: slice) -> Tensor:
    """(Bc, 1, Tq, n) bool: which canonical queries attend which keys, straight from the mask."""
    Bc, _, Tq, _ = case.q_shape
    found = torch.zeros((Bc, 1, Tq, keys.stop - keys.start), dtype=torch.bool, device=device)
    j = torch.arange(keys.start, keys.stop, device=device)
    for s in case.sequences:
        i = torch.arange(s.Mq, device=device)
        own = (j >= s.kv_start) & (j < s.kv_start + s.Mkv)
        inside = case.mask.allows(i[:, None], (j - s.kv_start)[None], s.Mq, s.Mkv) & own
        found[s.batch, 0, s.q_start : s.q_start + s.Mq] |= inside
    return found


def decodable(case: Case) -> str:
    """Why masks cannot be decoded on this case; empty when they can."""
    if case.dropout_p:
        return "dropout removes attended keys"
    if case.score.alibi:
        # exp(-slope * distance) / n must stay above half of float16's smallest subnormal, 2^-25
        reach = float(slopes(case.Hq).max()) * max(case.Mq, case.Mkv)
        if reach > 8.0:
            return f"ALiBi lowers far keys by {reach:.0f}: too small to see"
    return ""


def decode(run: Run, inputs: Inputs, passes: int = 64) -> tuple[Failure, ...]:
    """Reads the mask off a backend, forward and backward.

    With q = 0 every attended key weighs 1/n. With v a one-hot block, out[i, c] is not 0 exactly where
    query i attends key c of the block; with dout a one-hot block of queries, dv[j, c] is not 0 exactly
    where query c attends key j *in the backward*. Blocks beyond `passes` are left out of the middle.

    Args:
        run: The backend.
        inputs: Any inputs of a `decodable` case.
        passes: Most launches in each direction.
    """
    bias = inputs.bias
    if bias is not None:  # what is -inf is a mask and stays
        bias = torch.zeros_like(bias).masked_fill(bias == -torch.inf, -torch.inf)
    flat = replace(inputs, q=torch.zeros_like(inputs.q), bias=bias)
    forward = _forward(run, flat, passes)
    backward = _backward(run, flat, passes) if inputs.case.wants_backward else ()
    return (*forward, *backward)


def _forward(run: Run, flat: Inputs, passes: int) -> tuple[Failure, ...]:
    case = flat.case
    alive = allowed(case, flat.q.device, slice(0, flat.v.shape[2])).any(-1, keepdim=True)
    for a in _blocks(flat.v.shape[2], case.Kv, passes):
        n = min(case.Kv, flat.v.shape[2] - a)
        v = torch.zeros_like(flat.v)
        at = torch.arange(n, device=v.device)
        v[:, :, a + at, at] = 1.0
        seen = run(replace(flat, v=v)).out[..., :n] != 0
        keep = _finite(flat, allowed(case, v.device, slice(a, a + n)), slice(a, a + n))
        found = _compare(seen & alive, keep, a, "forward")  # rows without keys are judged elsewhere
        if found:
            return found
    return ()


def _backward(run: Run, flat: Inputs, passes: int) -> tuple[Failure, ...]:
    case = flat.case
    Tkv = flat.k.shape[2]
    keep = _finite(flat, allowed(case, flat.q.device, slice(0, Tkv)), slice(0, Tkv))
    for a in _blocks(flat.q.shape[2], case.Kv, passes):
        n = min(case.Kv, flat.q.shape[2] - a)
        at = torch.arange(n, device=flat.q.device)
        for head in range(case.groups):  # one query head of each group at a time
            dout = torch.zeros_like(flat.dout)
            dout[:, head :: case.groups, a + at, at] = 1.0
            dv = run(replace(flat, dout=dout)).dv
            if dv is None:
                return ()
            wanted = keep[:, head :: case.groups] if keep.shape[1] > 1 else keep
            found = _compare((dv[..., :n] != 0).mT, wanted[:, :, a : a + n], a, "backward")
            if found:
                return found
    return ()


def _finite(flat: Inputs, keep: Tensor, keys: slice) -> Tensor:
    """Takes out what a bias of -inf masks."""
    if flat.bias is None or not bool((flat.bias == -torch.inf).any()):
        return keep
    bias = flat.bias if flat.bias.shape[3] == 1 else flat.bias[..., keys]
    return keep & (bias != -torch.inf)


def _compare(seen: Tensor, keep: Tensor, start: int, direction: str) -> tuple[Failure, ...]:
    wrong = seen != keep
    if not bool(wrong.any()):
        return ()
    b, h, i, j = (int(n) for n in wrong.nonzero()[0])
    says = "is attended and should not be" if bool(seen[b, h, i, j]) else "is not attended"
    query, key = (i, j + start) if direction == "forward" else (i + start, j)
    message = (
        f"{direction}: key {key} {says} by query {query} (batch {b}, head {h}; {int(wrong.sum())} "
        f"such pairs among {wrong.numel()})"
    )
    return (Failure("mask", message),)


def _blocks(length: int, step: int, passes: int) -> Iterator[int]:
    starts = range(0, length, step)
    if len(starts) <= passes:
        yield from starts
        return
    yield from starts[: passes // 2]
    yield from starts[-(passes - passes // 2) :]


LEAKING = ("out", "lse", "dq")

REPEATS = 20
"""Launches of either kind after which values that never overlap are no accident. Where the inputs make
no difference, 40 values in random order have their 20 smallest (or largest) all on one side with
probability 2 / C(40, 20) = 1.5e-11 per element."""


def _apart(
    run: Run,
    inputs: Inputs,
    base: Outputs,
    others: Inputs,
    names: Iterable[str],
    factor: float = 1.0,
) -> dict[str, Tensor]:
    """Which elements tell two inputs apart, by quantity; `base` is what a run of `inputs` gave.

    A kernel that adds with atomics returns other bits every time, or once in a thousand launches, so
    that two launches that differ show nothing. Those that do are repeated in turn, and only elements
    count whose ranges over the repeats do not touch. The quantities of `inputs` are multiplied by
    `factor`, a power of two, first.
    """
    other = run(others)
    pairs = {n: (getattr(base, n), getattr(other, n)) for n in names}
    low_high = {
        n: (a * factor, a * factor, b, b)
        for n, (a, b) in pairs.items()
        if a is not None and b is not None
    }
    if all(_same(a, b) for a, _, b, _ in low_high.values()):
        return {name: torch.zeros_like(a, dtype=torch.bool) for name, (a, *_) in low_high.items()}
    for _ in range(REPEATS - 1):
        again, changed = run(inputs), run(others)
        for name, (a_low, a_high, b_low, b_high) in low_high.items():
            a, b = getattr(again, name) * factor, getattr(changed, name)
            low_high[name] = (
                torch.minimum(a_low, a),
                torch.maximum(a_high, a),
                torch.minimum(b_low, b),
                torch.maximum(b_high, b),
            )
    return {
        name: ~((a_low <= b_high) & (b_low <= a_high)) & ~(a_low.isnan() & b_low.isnan())
        for name, (a_low, a_high, b_low, b_high) in low_high.items()
    }


def leak(run: Run, inputs: Inputs, beyond: float = torch.nan) -> tuple[Failure, ...]:
    """Rows that attend none of the replaced keys must not change by a single bit.

    From several cuts on, keys and values become finite garbage (a NaN would spread in every right
    kernel: 0 * NaN); out, lse and dq of safe rows are compared, and what a repeat may move as well is
    told apart by `_apart`. Slots that belong to no sequence hold `beyond` throughout.

    Args:
        run: The backend.
        inputs: The case's tensors.
        beyond: NaN where the backend is told lengths and has no reason to read further; finite where
            it is told so by a mask.
    """
    case, base = inputs.case, run(inputs)
    Tkv = inputs.k.shape[2]
    found: list[Failure] = []
    owned = _owned(case, inputs.k.device)
    outside = (~owned)[:, None, :, None]
    all_owned = bool(owned.all())
    for cut in sorted({0, Tkv // 3, Tkv // 2, max(Tkv - 17, 0), max(Tkv - 1, 0)}):
        swap = owned.clone()
        swap[:, : cut if cut else None] = False
        k, v = _garbage(inputs.k, swap, 30.0), _garbage(inputs.v, swap, 1000.0)
        k, v = k.masked_fill(outside, beyond), v.masked_fill(outside, beyond)
        if all_owned and not cut:
            continue  # nothing is replaced
        touched = (allowed(case, k.device, slice(0, Tkv)) & swap[:, None, None, :]).any(-1)
        safe = (~touched & _rows(case, k.device)).expand(case.out_shape[:3])
        replaced = replace(inputs, k=k, v=v)
        for name, moved in _apart(run, inputs, base, replaced, LEAKING).items():
            differs = moved[safe]
            if bool(differs.any()):
                which = f"keys from {cut} on" if cut else "keys beyond the lengths"
                message = (
                    f"{name} changes in {int(differs.sum())} of {differs.numel()} places when "
                    f"{which}, which these rows do not attend, are replaced"
                )
                found.append(Failure("leak", message))
    return tuple(found)


def _owned(case: Case, device: torch.device) -> Tensor:
    """(Bc, Tkv) bool: canonical keys that belong to a sequence."""
    found = torch.zeros((case.k_shape[0], case.k_shape[2]), dtype=torch.bool, device=device)
    for s in case.sequences:
        found[s.batch, s.kv_start : s.kv_start + s.Mkv] = True
    return found


def _rows(case: Case, device: torch.device) -> Tensor:
    """(Bc, 1, Tq) bool: canonical queries that belong to a sequence."""
    found = torch.zeros((case.q_shape[0], 1, case.q_shape[2]), dtype=torch.bool, device=device)
    for s in case.sequences:
        found[s.batch, 0, s.q_start : s.q_start + s.Mq] = True
    return found


def _garbage(x: Tensor, where: Tensor, size: float) -> Tensor:
    """Large finite values of the original's signs."""
    wrong = torch.where(x < 0, -size, size).to(x.dtype)
    return torch.where(where[:, None, :, None], wrong, x)


def power_of_two(run: Run, inputs: Inputs, factor: float = 4.0) -> tuple[Failure, ...]:
    """out(4 v) = 4 out and gradients(4 dout) = 4 gradients, bit for bit.

    out is linear in v and gradients are linear in dout, and a power of two changes no significand. Not
    for float16, whose subnormals round on the way.

    Args:
        run: The backend.
        inputs: The case's tensors, of ordinary size.
        factor: A power of two that keeps them well inside the range of their dtype.
    """
    if inputs.case.dtype == "float16":
        return ()
    found: list[Failure] = []
    base = run(inputs)
    larger = {"v": replace(inputs, v=factor * inputs.v)}
    if inputs.case.wants_backward:
        larger["dout"] = replace(inputs, dout=factor * inputs.dout)
    for what, scaled in larger.items():
        names = ("out",) if what == "v" else ("dq", "dk", "dv", "dbias")
        moved = _apart(run, inputs, base, scaled, names, factor)
        for name, differs in moved.items():
            if bool(differs.any()):
                places = f"{int(differs.sum())} places"
                message = f"{name}({factor:g} {what}) is not {factor:g} {name} in {places}"
                found.append(Failure("scaling", message))
    return tuple(found)


def repeat(run: Run, inputs: Inputs, times: int = 3) -> dict[str, float]:
    """Largest difference between repeats, per quantity: 0 is bitwise equal, inf a NaN that moves."""
    runs = [run(inputs) for _ in range(times)]
    found = {}
    for name in QUANTITIES:
        first = getattr(runs[0], name)
        if first is None:
            continue
        worst = 0.0
        for other in runs[1:]:
            x = getattr(other, name)
            if not _same(first, x):
                moved = (first.double() - x.double()).abs().nan_to_num(torch.inf)
                worst = max(worst, float(moved[~_equal(first, x)].max()))
        found[name] = worst
    return found


def in_place(run: Run, inputs: Inputs) -> tuple[Failure, ...]:
    """The inputs hold the same bits after the call."""
    names = [n for n in ("q", "k", "v", "dout", "bias") if getattr(inputs, n) is not None]
    before = {name: getattr(inputs, name).clone() for name in names}
    run(inputs)
    changed = [name for name in names if not _same(before[name], getattr(inputs, name))]
    if not changed:
        return ()
    return (Failure("inplace", f"the call changed its inputs: {', '.join(changed)}"),)


def _equal(a: Tensor, b: Tensor) -> Tensor:
    """Element by element; NaN equals NaN."""
    return (a == b) | (a.isnan() & b.isnan())


def _same(a: Tensor | None, b: Tensor | None) -> bool:
    if a is None or b is None:
        return False
    return a.shape == b.shape and bool(_equal(a, b).all())
