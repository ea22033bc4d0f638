"""Tallies as records: results that were on their way are read, and calls that differ in length join."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

from attnprobe.capture.look import said_by_flag
from attnprobe.capture.recorder import Recorder
from attnprobe.capture.tally import Spans, Tally
from attnprobe.core.capture import Call, CapturedMask, Share

_MOST_LENGTHS = 6
"""Records of one place that differ in lengths alone; more are put together."""

_KEPT = 512
"""Lengths and numbers of tokens that are kept of a call."""

_BACKENDS = (
    ("_scaled_dot_product_flash_attention", "sdpa-flash"),
    ("_scaled_dot_product_efficient_attention", "sdpa-mem-efficient"),
    ("_scaled_dot_product_cudnn_attention", "sdpa-cudnn"),
    ("_scaled_dot_product_fused_attention_overrideable", "sdpa-overrideable"),
    ("_flash_attention_forward", "flash"),
    ("_efficient_attention_forward", "mem-efficient"),
    ("_cudnn_attention_forward", "cudnn"),
    ("_native_multi_head_attention", "native-mha"),
    ("_transformer_encoder_layer_fwd", "native-encoder"),
)
"""What an operator's name says of the backend (torch@2.13:aten/src/ATen/native/native_functions.yaml)"""


def calls(recorder: Recorder, wait: bool) -> tuple[Call, ...]:
    """All calls, what took longest first; without times, what was called most.

    Args:
        recorder: Whose tallies.
        wait: Whether results that have not come from the device are waited for.
    """
    found = [_call(t, recorder, wait) for t in list(recorder.tallies.values()) if _happened(t)]
    return tuple(sorted(_joined(found), key=_weight, reverse=True))


def _happened(tally: Tally) -> bool:
    return bool(tally.count or tally.recomputed or tally.failed)


def _weight(call: Call) -> tuple[float, int]:
    return (call.seconds or 0.0, call.count)


def _call(tally: Tally, recorder: Recorder, wait: bool) -> Call:
    flags, (mask, others) = tally.flags, _masks(tally, recorder, wait)
    forward, backward = _share(tally.forward_s), _share(tally.backward_s)
    q, k, v = tally.tensors
    failed = (f"raised {tally.failed} times",) if tally.failed else ()
    return Call(
        api=tally.api,
        where=tally.where,
        count=tally.count,
        q=q,
        k=k,
        v=v,
        layout=flags.layout,
        heads=flags.heads,
        mask=mask,
        other_masks=others,
        masks_made=tally.masks_made,
        dropout_p=flags.dropout_p,
        scale=flags.scale,
        is_causal=flags.is_causal,
        enable_gqa=flags.enable_gqa,
        softcap=flags.softcap,
        grad_enabled=tally.grad_enabled,
        training=tally.origin.training,
        autocast=tally.autocast_name,
        deterministic=tally.deterministic,
        compiled=tally.compiled,
        caller=tally.origin.caller,
        module=tally.origin.module,
        function=tally.origin.function,
        backend=_backend(tally, recorder),
        kernels=tuple(tally.kernels.most_common()),
        recomputed=tally.recomputed,
        backward=tally.backward,
        seconds=_seconds(tally, forward, backward),
        forward=forward,
        backward_times=backward,
        kept_bytes=tally.kept_bytes,
        peak_bytes=tally.peak_bytes,
        logit_range=_logits(tally, wait),
        lengths_q=_lengths(tally, "q", wait),
        lengths_kv=_lengths(tally, "kv", wait),
        shared_storage=tally.shared_storage,
        softmax_dtype=tally.softmax_dtype,
        steps=tally.steps,
        notes=(*tally.notes, *failed),
    )


def _share(spans: Spans) -> Share | None:
    return Share(spans.total, spans.timed) if spans.timed else None


def _seconds(tally: Tally, forward: Share | None, backward: Share | None) -> float | None:
    """What all of them took, those that were not timed taken as the others."""
    if forward is None:
        return None
    back = backward.each_s * tally.backward if backward else 0.0
    return forward.each_s * (tally.count + tally.recomputed) + back


def _backend(tally: Tally, recorder: Recorder) -> str:
    """By its kernels; SDPA without a fused one has composed the operation of others."""
    if tally.backends:
        return "+".join(sorted(tally.backends))
    asks_sdpa = tally.api == "sdpa" or (tally.api == "mha" and "need_weights" not in tally.notes)
    composed = asks_sdpa and recorder.sees_kernels and tally.count > 0
    if composed and not tally.kernels and not tally.compiled:
        return "sdpa-math"
    found = {b for name in tally.kernels for prefix, b in _BACKENDS if name.startswith(prefix)}
    found = {b for b in found if f"sdpa-{b}" not in found}  # flash below sdpa-flash is the same
    return "+".join(sorted(found))


def _masks(
    tally: Tally, recorder: Recorder, wait: bool
) -> tuple[CapturedMask | None, tuple[CapturedMask, ...]]:
    """The masks that were looked at, alike ones counted, the most frequent first."""
    seen: Counter[CapturedMask] = Counter()
    for index, looked in enumerate(tally.masks):
        if not isinstance(looked, CapturedMask):
            if not (wait or looked.ready):
                continue
            try:
                looked = looked.read()
            except Exception as error:  # noqa: BLE001 - other masks can be read
                recorder.gap(f"a mask of {tally.api} at {tally.where}", error)
                looked = CapturedMask("unknown", note="it could not be recognised")
            tally.masks[index] = looked
        seen[replace(looked, times=1)] += 1
    known = Counter({mask: n for mask, n in seen.items() if mask.kind != "unknown"})
    seen = known or seen
    if not seen:
        return (said_by_flag(tally.flags.flag) if tally.flags.flag else None), ()
    first, *others = (replace(mask, times=n) for mask, n in seen.most_common(16))
    return first, tuple(others)


def _logits(tally: Tally, wait: bool) -> tuple[float, float] | None:
    """Least and largest of the looks, scaled."""
    read = [later.read() for later in tally.logits if wait or later.ready]
    if not read:
        return None
    scale = tally.flags.scale
    if scale is None:
        scale = tally.tensors[0].shape[-1] ** -0.5
    ends = [scale * x for pair in read for x in pair]
    return min(ends), max(ends)


def _lengths(tally: Tally, which: str, wait: bool) -> tuple[int, ...]:
    later = tally.lengths.get(which)
    if later is None or not (wait or later.ready):
        return ()
    return tuple(int(x) for x in later.read()[:_KEPT])


def _joined(found: list[Call]) -> list[Call]:
    """Generation makes a call of its own of every length: beyond some, they are one with its lengths."""
    groups: dict[Any, list[Call]] = {}
    for call in found:
        groups.setdefault(_without_lengths(call), []).append(call)
    joined = []
    for group in groups.values():
        joined += [_one(group)] if len(group) > _MOST_LENGTHS else _without_doubles(group)
    return joined


def _without_doubles(group: list[Call]) -> list[Call]:
    """One function that is used at several places in one way makes one call."""
    alike: dict[Any, list[Call]] = {}
    for call in group:
        mask = replace(call.mask, times=1) if call.mask is not None else None
        alike.setdefault((call.q, call.k, call.v, mask, call.steps), []).append(call)
    return [_one(calls) if len(calls) > 1 else calls[0] for calls in alike.values()]


def _without_lengths(call: Call) -> tuple[Any, ...]:
    mask = (call.mask.kind, call.mask.form) if call.mask else ()
    tensors = tuple((t.dtype, t.device, t.requires_grad, t.kind, len(t.shape), t.shape[-1:])
                    for t in (call.q, call.k, call.v))  # fmt: skip
    return (
        call.api,
        call.where,
        call.caller,
        tensors,
        mask,
        call.heads,
        call.dropout_p,
        call.scale,
        call.is_causal,
        call.enable_gqa,
        call.softcap,
        call.grad_enabled,
        call.autocast,
        call.deterministic,
        call.compiled,
        call.backend,
    )


def _one(group: list[Call]) -> Call:
    """The one with the most keys stands for all; counts and times add up."""
    tokens = -2 if group[0].layout in ("BHMK", "BMK", "BMD") else -3
    queries, keys = Counter[int](), Counter[int]()
    for call in group:
        queries[call.q.shape[tokens]] += call.count
        keys[call.k.shape[tokens]] += call.count
    largest = max(group, key=lambda call: call.k.shape[tokens])
    timed = [call.seconds for call in group if call.seconds is not None]
    return replace(
        largest,
        count=sum(call.count for call in group),
        recomputed=sum(call.recomputed for call in group),
        backward=sum(call.backward for call in group),
        masks_made=sum(call.masks_made for call in group),
        seconds=sum(timed) if timed else None,
        forward=_added([call.forward for call in group]),
        backward_times=_added([call.backward_times for call in group]),
        queries_seen=tuple(queries.most_common(_KEPT)) if len(queries) > 1 else (),
        keys_seen=tuple(keys.most_common(_KEPT)) if len(keys) > 1 else (),
        kernels=tuple(
            sum((Counter(dict(call.kernels)) for call in group), Counter()).most_common()
        ),
    )


def _added(shares: list[Share | None]) -> Share | None:
    there = [share for share in shares if share is not None]
    if not there:
        return None
    return Share(sum(share.total_s for share in there), sum(share.timed for share in there))
