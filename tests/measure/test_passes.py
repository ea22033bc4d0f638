"""What each pass times, on what, and from which cache."""

from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch

from attnprobe.core.sampling import Sampling
from attnprobe.device.measure import cold, measure, passes
from attnprobe.device.measure.clocks import CpuClock
from attnprobe.device.measure.cold import Cold
from tests.measure.attention import CPU, Attention, calls_of, fused, kept_cold, small


@pytest.mark.parametrize(
    ("asked", "given"),
    [("fwd", ("fwd",)), ("bwd", ("bwd",)), ("fwd+bwd", ("fwd", "bwd", "fwd+bwd"))],
)
def test_the_case_says_which_passes_are_timed(asked, given):
    """Forward and backward together bring each alone as well."""
    _, inputs = small(passes=asked)
    assert passes.wanted(Attention().prepare(inputs), inputs) == given


def test_a_case_without_gradients_has_no_backward():
    """Nothing requires a gradient: only the forward can be timed."""
    _, inputs = small(grads=())
    assert passes.wanted(Attention().prepare(inputs), inputs) == ("fwd",)


def test_backward_alone_runs_no_forward_while_it_is_timed():
    """The forward belongs to `before`; `run` is the backward and gives the right gradients."""
    _, inputs = small()
    attention = Attention()
    prepared = attention.prepare(inputs)
    call = calls_of(Cold((prepared,), "warm"), inputs)["bwd"]
    out = call.before()
    launched = attention.launches
    gradients = call.run(out)
    assert attention.launches == launched
    expected = torch.autograd.grad(prepared.launch(), prepared.leaves.values(), inputs.dout)
    assert all(torch.equal(a, b) for a, b in zip(gradients, expected, strict=True))


def test_every_launch_happens_in_the_context_that_selects_its_kernel():
    """Bursts of two backends may be interleaved: each enters its own selection, outside the timing."""
    selected = []

    @contextmanager
    def selection():
        selected.append(True)
        yield
        selected.pop()

    def attention(q, k, v):
        assert selected
        return fused(q, k, v)

    _, inputs = small()
    prepared = replace(Attention(attention).prepare(inputs), around=selection)
    for call in calls_of(Cold((prepared,), "warm"), inputs).values():
        CpuClock().burst(call, 2)
    measure(prepared, inputs, Sampling(budget_s=0.05))
    assert not selected


def test_backward_leaves_no_grad_behind():
    """Nothing accumulates from call to call."""
    _, inputs = small()
    prepared = Attention().prepare(inputs)
    for call in calls_of(Cold((prepared,), "warm"), inputs).values():
        call.run(call.before())
    assert all(leaf.grad is None for leaf in prepared.leaves.values())


def test_the_cotangent_has_the_strides_of_the_output():
    """No expanded gradient of stride 0, and the layout that the next layer hands back."""
    _, inputs = small()
    prepared = Attention().prepare(inputs)
    out = torch.empty(1, 32, 2, 16).transpose(1, 2)
    dout = passes.cotangent(prepared, inputs, out)
    assert dout.stride() == out.stride()
    assert torch.equal(dout, inputs.dout)


@pytest.mark.parametrize("layout", ["BHMK", "BMHK", "packed-qkv", "expanded-kv", "unaligned"])
def test_copies_of_the_inputs_keep_their_memory_layout(layout, monkeypatch):
    """Same values, strides, offset and sharing, other memory: the same call, only colder."""
    _, inputs = small(B=2, layout=layout)
    footprint = 2 * 4 * 32 * 16 * 2 * 4
    monkeypatch.setattr(cold, "cache_bytes", lambda device: footprint)
    prepared = []
    attention = Attention()

    def prepare(copied):
        prepared.append(copied)
        return attention.prepare(copied)

    kept = kept_cold(attention.prepare(inputs), inputs, prepare)
    assert len(kept.copies) == len(prepared) + 1 >= 3
    for copied in prepared:
        for name in "qkv":
            one, other = getattr(inputs, name), getattr(copied, name)
            assert torch.equal(one, other)
            assert one.stride() == other.stride()
            assert one.storage_offset() == other.storage_offset()
            assert one.data_ptr() != other.data_ptr()
        shared = inputs.q.untyped_storage().data_ptr() == inputs.k.untyped_storage().data_ptr()
        again = copied.q.untyped_storage().data_ptr() == copied.k.untyped_storage().data_ptr()
        assert shared == again
    assert "cold" in kept.text


def _watched(prepared, flowing):
    """Notes where the gradient lies that flows into each backward."""

    def differentiate(out, leaves, dout):
        flowing.append(dout.data_ptr())
        return prepared.differentiate(out, leaves, dout)

    return replace(prepared, differentiate=differentiate)


def test_contestants_share_the_copies_and_the_gradient_that_flows_back(monkeypatch):
    """Where a tensor lies can make a kernel faster for a whole run, so it lies there for both."""
    _, inputs = small(passes="fwd+bwd")
    monkeypatch.setattr(cold, "cache_bytes", lambda device: 20_000)
    one, other = Attention(), Attention()
    kept = cold.keep_cold(
        (one.prepare(inputs), other.prepare(inputs)), inputs, (one.prepare, other.prepare)
    )
    assert len(kept[0].copies) == len(kept[1].copies) > 2
    places = [[copy.leaves["q"].data_ptr() for copy in each.copies] for each in kept]
    assert places[0] == places[1]
    assert len(set(places[0])) == len(places[0])
    flowing: list[int] = []
    kept = [
        replace(each, copies=tuple(_watched(copy, flowing) for copy in each.copies))
        for each in kept
    ]
    for calls in passes.calls(kept, inputs):
        call = calls["bwd"]
        call.run(call.before())
    assert len(flowing) == 2
    assert len(set(flowing)) == 1


def test_where_one_contestant_cannot_be_copied_none_is(monkeypatch):
    """Both are kept cold in the same way, or both are called warm."""
    _, inputs = small()
    monkeypatch.setattr(cold, "cache_bytes", lambda device: 20_000)
    one, other = Attention(), Attention()
    kept = cold.keep_cold((one.prepare(inputs), other.prepare(inputs)), inputs, (one.prepare, None))
    assert [len(each.copies) for each in kept] == [1, 1]
    assert one.prepared == 1
    assert kept[0].text == kept[1].text


def test_copies_are_used_in_turn(monkeypatch):
    """Forward, and forward with backward, each take the next one."""
    _, inputs = small()
    attention = Attention()
    monkeypatch.setattr(cold, "cache_bytes", lambda device: 20_000)
    kept = kept_cold(attention.prepare(inputs), inputs, attention.prepare)
    call = calls_of(kept, inputs)["fwd"]
    turns = [call.before() for _ in range(2 * len(kept.copies))]
    assert turns == [*kept.copies, *kept.copies]


def test_what_cannot_be_kept_cold_is_called_warm(monkeypatch):
    """Too many copies, or no way to prepare them: the report says warm, and why."""
    _, inputs = small()
    attention = Attention()
    prepared = attention.prepare(inputs)
    monkeypatch.setattr(cold, "cache_bytes", lambda device: 2**25)
    assert kept_cold(prepared, inputs, attention.prepare).text.startswith("warm (")
    monkeypatch.setattr(cold, "cache_bytes", lambda device: 20_000)
    assert kept_cold(prepared, inputs, None).text.startswith("warm (")
    monkeypatch.setattr(cold, "cache_bytes", lambda device: 0)
    assert "unknown" in kept_cold(prepared, inputs, attention.prepare).text
    assert attention.prepared == 1


def test_a_call_that_exceeds_the_cache_is_cold_by_itself(monkeypatch):
    """No copies, no flush."""
    _, inputs = small()
    monkeypatch.setattr(cold, "cache_bytes", lambda device: 16)
    kept = kept_cold(Attention().prepare(inputs), inputs, None)
    assert len(kept.copies) == 1
    assert kept.text.startswith("cold (inputs exceed it")


def test_this_machine_names_its_cache():
    """Linux lists the sizes; where it does not, 0 says that it is unknown."""
    assert cold.cache_bytes(CPU) >= 0
