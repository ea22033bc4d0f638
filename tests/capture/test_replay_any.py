"""Whatever a capture holds, each call becomes sound cases or reasons, and never an exception."""

from __future__ import annotations

import typing
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from attnprobe.capture.replay import each, workload
from attnprobe.core.capture import (
    Call,
    Capture,
    CapturedMask,
    Layout,
    MaskKind,
    TensorFacts,
    ValuesKind,
)
from attnprobe.masks import parse as mask_of
from attnprobe.workload import parse
from attnprobe.workload.written import written

shapes = st.lists(st.integers(-1, 9), max_size=5).map(tuple)
DIMS = {"BHMK": "BHMK", "BMHK": "BMHK", "BMGHK": "BMGHK", "MHK": "MHK", "BMK": "BMK"}
DIMS |= {"BMD": "BMD", "MBD": "MBD"}


@st.composite
def tensors(draw: st.DrawFn, layout: str) -> TensorFacts:
    """A tensor of some layout; some have another number of dims, of unknown or no size."""
    shape = draw(st.tuples(*[st.sampled_from([1, 2, 2, 2, 4])] * len(DIMS[layout])))
    if draw(st.integers(0, 19)) == 0:
        shape = draw(shapes)
    return TensorFacts(
        shape=shape,
        stride=draw(st.tuples(*[st.sampled_from([0, 1, 2, 8, 64])] * len(shape))),
        dtype=draw(st.sampled_from(["float32"] * 9 + ["float8_e4m3fn"])),
        requires_grad=draw(st.booleans()),
        storage_offset_bytes=draw(st.sampled_from([0, 0, 2])),
        kind=draw(st.sampled_from(["Tensor"] * 9 + ["nested"])),
        slots=draw(st.integers(0, 999)),
    )


counts = st.lists(st.integers(0, 9), max_size=4).map(tuple)
documents = st.lists(
    st.lists(st.tuples(*[st.integers(0, 5)] * 4), min_size=1, max_size=3).map(tuple), max_size=2
).map(tuple)
spellings = (
    "none",
    "causal(align=top-left)",
    "sliding-window(left=2, right=1, align=bottom-right)",
)
captured_masks = st.builds(
    CapturedMask,
    kind=st.sampled_from(typing.get_args(MaskKind)),
    form=st.sampled_from(["bool", "float32", "bfloat16", "flag", "BlockMask"]),
    mask=st.none() | st.sampled_from(spellings).map(mask_of),
    shape=shapes,
    broadcast=st.sampled_from(["", "1,1,M,N", "B,1,1,N", "B,H,M,N"]),
    lengths=counts,
    padding_left=counts,
    queries=counts,
    documents=documents,
    fraction_masked=st.none() | st.floats(0, 1),
    empty_rows=st.none() | st.integers(0, 9),
    forbidding=st.sampled_from([(), (-1e9, -1e9)]),
    values=st.sampled_from(typing.get_args(ValuesKind)),
    values_dims=st.sampled_from(["", "1,H,M,N", "1,H,1,N"]),
    slopes=st.lists(st.floats(0.001, 1), max_size=3).map(tuple),
    requires_grad=st.booleans(),
    times=st.integers(1, 9),
)


@st.composite
def drawn_calls(draw: st.DrawFn) -> Call:
    """A call whose tensors mostly fit its layout."""
    layout = draw(st.sampled_from(typing.get_args(Layout)))
    q, k, v = (draw(tensors(layout)) for _ in range(3))
    k, v = (replace(t, shape=q.shape) if draw(st.booleans()) else t for t in (k, v))
    return Call(
        api=draw(st.sampled_from(["sdpa", "mha", "flex", "varlen", "hand-written", "of tomorrow"])),
        where=draw(st.text(max_size=20)),
        count=draw(st.integers(0, 99)),
        q=q,
        k=k,
        v=v,
        layout=layout,
        heads=draw(st.sampled_from([(0, 0), (2, 1), (2, 2), (3, 2)])),
        mask=draw(st.none() | captured_masks),
        other_masks=draw(st.lists(captured_masks, max_size=2).map(tuple)),
        dropout_p=draw(st.sampled_from([0.0, 0.1, 0.0, 1.0])),
        scale=draw(st.none() | st.floats(-1, 1)),
        is_causal=draw(st.booleans()),
        backward=draw(st.integers(0, 2)),
        autocast=draw(st.sampled_from(["", "bfloat16"])),
        lengths_q=draw(counts),
        lengths_kv=draw(counts),
        logit_range=draw(st.none() | st.tuples(st.floats(-99, 0), st.floats(0, 99))),
    )


calls = drawn_calls()


@given(calls)
@settings(max_examples=500, deadline=None)
def test_a_call_becomes_sound_cases_or_reasons(call: Call):
    """No exception, no case that is none, and a reason wherever there is no case."""
    for found in each(call):
        assert found.case is not None or found.unsaid
        assert found.case is None or not found.case.problems


@given(calls)
@settings(max_examples=200, deadline=None)
def test_what_can_be_replayed_can_be_written_down(call: Call):
    """YAML and back: the same cases, their names in the characters that names have."""
    seen = workload(Capture(script="x.py", calls=(call,)))
    if seen.calls:
        again = parse(written(seen), "again")
        assert [c.case for c in again.calls] == [c.case for c in seen.calls]
