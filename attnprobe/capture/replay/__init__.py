"""From a capture file to the workload that its calls are: each as a Case, and what no Case can say.

Free of torch: a capture is replayed on any machine, in any environment.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from attnprobe.capture.replay.asked import backend, passes_and_grads
from attnprobe.capture.replay.habits import habits
from attnprobe.capture.replay.meant import meant
from attnprobe.capture.replay.memory import layout
from attnprobe.capture.replay.pairs import pairs
from attnprobe.capture.replay.shapes import dims
from attnprobe.core import capture
from attnprobe.core.case import Case
from attnprobe.core.score import Score
from attnprobe.workload import Call, Workload

LARGE_LOGITS = 60.0
"""Width of the range of logits beyond which inputs with large logits stand for the script's own."""


@dataclass(frozen=True)
class Replayed:
    """One captured call.

    Args:
        captured: What was seen.
        case: The recipe that stands for it; None when there is none.
        unsaid: What the recipe does not say, or why there is none.
    """

    captured: capture.Call
    case: Case | None
    unsaid: tuple[str, ...] = ()


def each(call: capture.Call) -> tuple[Replayed, ...]:
    """The cases of a captured call: one for each mask that was passed, but for lengths alone.

    They share its count as often as each mask was seen among those that were looked at.
    """
    if call.mask is None or not call.other_masks:
        return (replayed(call),)
    seen = (call.mask, *call.other_masks)
    groups = dict[object, list[capture.CapturedMask]]()
    for mask in seen:
        differ = None if mask.requires_grad else mask.values_dims  # what is learned begins as 0
        alike = (mask.kind, mask.form, mask.mask, differ, mask.requires_grad)
        groups.setdefault(alike, []).append(mask)
    looks = sum(mask.times for mask in seen)
    found, so_far, given = [], 0, 0
    for first, *others in groups.values():
        so_far += sum(mask.times for mask in (first, *others))
        count = max(1, round(call.count * so_far / looks) - given)
        given += count
        found.append(replayed(replace(call, mask=first, other_masks=tuple(others), count=count)))
    return tuple(found)


def replayed(call: capture.Call) -> Replayed:
    """The case of a captured call with its commonest mask, and all that it cannot say."""
    shape, unsaid = dims(call)
    if shape is None:
        return Replayed(call, None, unsaid)
    found = meant(call, pairs(call, shape), shape)
    passes, grads = passes_and_grads(call)
    arranged, odd = layout(call)
    case = Case(
        **shape.sizes(found.lengths),
        dtype=_dtype(call),
        device="auto",
        mask=found.mask,
        score=Score(call.scale, call.softcap, found.alibi, found.bias),
        lengths=found.lengths,
        layout=arranged,
        mask_form=found.form,
        dropout_p=call.dropout_p,
        passes=passes,
        grads=grads,
        family=_family(call),
        name=_name(call),
    )
    unsaid = (*unsaid, *found.unsaid, *odd, *_varying(call))
    if case.problems and not case.edit(layout="BHMK").problems:
        case = case.edit(layout="BHMK")
        unsaid = (*unsaid, f"no case of its shape has the layout {arranged}")
    if case.problems:
        return Replayed(call, None, (*unsaid, *case.problems))
    return Replayed(call, case, unsaid)


def workload(captured: capture.Capture) -> Workload:
    """The calls of a script as a workload; calls that no case can stand for are in its notes.

    Calls at different places whose cases, backends and habits are the same are one: it is made as
    often as they all are together in a step, or in the whole run of a script that takes no steps.
    """
    calls, notes = (
        dict[tuple[str, str, tuple[str, ...]], Call](),
        [f"not seen: {gap.what}: {gap.why}" for gap in captured.gaps],
    )
    for found in itertools.chain.from_iterable(map(each, captured.calls)):
        call = found.captured
        notes += [f"{call.where} ({call.api}): {text}" for text in found.unsaid]
        if found.case is None:
            continue
        times = max(1, round(call.count / max(1, captured.steps)))
        seen = (found.case.id, backend(call), habits(call))
        known = calls.get(seen)
        if known:
            times += known.calls_per_step
            places = f"{known.source}, {call.where}"
            calls[seen] = replace(known, calls_per_step=times, source=places)
            continue
        source = f"{captured.script}: {call.where}"
        calls[seen] = Call(found.case, source, seen[1], times, habits=seen[2])
    return Workload(
        name=captured.script or "captured",
        source=f"captured from {captured.script}",
        about=f"{len(calls)} different attention calls of {captured.script}",
        calls=tuple(_told_apart(calls.values())),
        notes=tuple(dict.fromkeys(notes)),
        step_s=captured.step_s,
    )


def _name(call: capture.Call) -> str:
    """The line that makes the call; of a package, with the module that asks for it."""
    package, _, rest = call.where.partition("site-packages/")
    if package or not rest:
        return call.where
    return ", ".join(filter(None, (call.module, rest.rpartition("/")[2])))


def _told_apart(calls: Iterable[Call]) -> Iterator[Call]:
    """Cases of one name are numbered: libraries make all of their calls in one line."""
    seen = Counter[str]()
    for call in calls:
        name = call.case.name
        seen[name] += 1
        again = seen[name] > 1
        yield replace(call, case=call.case.edit(name=f"{name} ({seen[name]})")) if again else call


def _dtype(call: capture.Call) -> str:
    """What is computed in: under autocast float32 becomes its dtype."""
    cast = call.autocast and call.api not in ("varlen", "flash-attn-2", "flash-attn-3")
    return call.autocast if cast and call.q.dtype == "float32" else call.q.dtype


def _family(call: capture.Call) -> str:
    if call.logit_range is None:
        return "normal"
    low, high = call.logit_range
    return "large-logits" if high - low > LARGE_LOGITS else "normal"


def _varying(call: capture.Call) -> tuple[str, ...]:
    """What one shape leaves out of a call whose lengths change."""
    found = []
    for name, seen in (("queries", call.queries_seen), ("keys", call.keys_seen)):
        if len(seen) > 1:
            sizes = [length for length, _ in seen]
            found.append(f"{name} from {min(sizes)} to {max(sizes)} are replayed with one number")
    if call.other_masks:
        found.append(f"{len(call.other_masks)} masks of other lengths are replayed with one")
    return tuple(found)
