"""Every API is seen once per call, with what it was called with, in forward and backward."""

from __future__ import annotations

import copy
import pickle
import sys
from collections.abc import Callable
from types import ModuleType

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.attention.bias import causal_lower_right, causal_upper_left
from torch.nn.attention.flex_attention import create_block_mask, flex_attention
from torch.nn.functional import scaled_dot_product_attention as early
from torch.utils.checkpoint import checkpoint

import attnprobe
from attnprobe.core.capture import Call, Capture


def captured(script: Callable[[], object], times: int = 1, timing: bool = False) -> Capture:
    with attnprobe.capture(timing=timing) as seen:
        for _ in range(times):
            script()
    assert seen.capture.gaps == ()
    return seen.capture


def only(script: Callable[[], object], times: int = 1) -> Call:
    (call,) = captured(script, times).calls
    return call


def qkv(M: int = 16, N: int = 16, grad: bool = False) -> tuple[torch.Tensor, ...]:
    return tuple(torch.randn(2, 4, n, 8, requires_grad=grad) for n in (M, N, N))


def test_sdpa_by_an_early_name():
    """This module bound the function before anybody captured it."""
    call = only(lambda: early(*qkv(grad=True), is_causal=True, scale=0.5).sum().backward(), 3)
    assert (call.api, call.count, call.backward) == ("sdpa", 3, 3)
    assert (call.is_causal, call.scale, call.q.shape) == (True, 0.5, (2, 4, 16, 8))
    assert call.mask is not None
    assert call.mask.mask is not None
    assert (call.mask.form, call.mask.mask.text) == ("flag", "causal(align=top-left)")
    assert call.logit_range is not None
    assert call.logit_range[0] < 0 < call.logit_range[1]


def test_the_backend_is_what_ran():
    """On a CPU that is flash for plain inputs, and with dropout operators that are composed."""
    composed = only(lambda: early(*qkv(), dropout_p=0.5))
    assert (composed.backend, composed.kernels) == ("sdpa-math", ())
    call = only(lambda: early(*qkv(grad=True)).sum().backward())
    assert call.backend == "sdpa-flash"
    assert [name for name, _ in call.kernels] == [
        "_scaled_dot_product_flash_attention_for_cpu",
        "_scaled_dot_product_flash_attention_for_cpu_backward",
    ]


def test_strides_tell_a_packed_projection():
    """q, k, v are chunks of one tensor with heads behind tokens."""
    x = torch.randn(2, 16, 3, 4, 8)
    call = only(lambda: F.scaled_dot_product_attention(*(t.transpose(1, 2) for t in x.unbind(2))))
    assert call.shared_storage
    assert call.q.stride == (1536, 8, 96, 1)
    assert call.q.slots == x.numel()


def test_a_mask_that_is_made_again_for_every_call_is_told_from_one_that_is_kept():
    kept = torch.ones(16, 16, dtype=torch.bool).tril()

    def with_kept() -> None:
        F.scaled_dot_product_attention(*qkv(), attn_mask=kept)

    def with_new() -> None:
        F.scaled_dot_product_attention(*qkv(), attn_mask=kept.clone())

    assert only(with_kept, 5).masks_made == 1
    assert only(with_new, 5).masks_made == 5


def test_padding_that_changes_is_several_masks():
    """Two batches of the same shape, padded differently."""
    lengths = iter([(4, 16), (10, 12), (4, 16), (9, 9)])

    def script() -> None:
        keep = torch.arange(16) < torch.tensor(next(lengths))[:, None]
        F.scaled_dot_product_attention(*qkv(), attn_mask=keep[:, None, None])

    call = only(script, 4)
    assert call.mask is not None
    seen = {mask.lengths for mask in (call.mask, *call.other_masks)}
    assert {(4, 16), (10, 12)} <= seen


def test_module_and_training_flag():
    """Dropout in eval mode is seen as such."""

    class Attention(nn.Module):
        def forward(self, *tensors: torch.Tensor) -> torch.Tensor:
            return F.scaled_dot_product_attention(*tensors, dropout_p=0.1)

    module = Attention().eval()
    call = only(lambda: module(*qkv()))
    assert (call.module, call.training, call.dropout_p) == ("Attention", False, 0.1)


def test_generation_is_one_call_of_many_lengths():
    """Keys grow by one at every call."""

    def script() -> None:
        for n in range(1, 20):
            F.scaled_dot_product_attention(*qkv(1, n))

    call = only(script)
    assert (call.count, call.k.shape[-2], len(call.keys_seen)) == (19, 19, 19)


@pytest.mark.parametrize("by_name", [False, True])
@pytest.mark.parametrize("corner", [causal_upper_left, causal_lower_right])
def test_a_causal_bias_masks_as_before(corner: Callable[[int, int], torch.Tensor], by_name: bool):
    """Torch compares the function with its public name, which is ours while captured."""
    q, k, v = qkv(8, 16)
    mask = torch.ones(8, 16, dtype=torch.bool).tril(8 if corner is causal_lower_right else 0)
    expected = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    given, named = ((), {"attn_mask": corner(8, 16)}) if by_name else ((corner(8, 16),), {})
    outputs = []
    call = only(lambda: outputs.append(F.scaled_dot_product_attention(q, k, v, *given, **named)))
    torch.testing.assert_close(outputs[0], expected)
    assert call.mask is not None
    assert (call.mask.kind, call.mask.form) == ("causal", "CausalBias")
    assert call.mask.shape == (8, 16)


def test_multi_head_attention_in_training_is_one_call():
    """Its inner SDPA, or its own products where weights are wanted, are not counted again."""
    layer, x = nn.MultiheadAttention(32, 4, batch_first=True), torch.randn(2, 16, 32)
    mask = torch.ones(16, 16, dtype=torch.bool).triu(1)
    call = only(lambda: layer(x, x, x, need_weights=False, attn_mask=mask)[0].sum().backward(), 2)
    assert (call.api, call.count, call.backward, call.heads) == ("mha", 2, 2, (4, 4))
    assert (call.layout, call.q.shape) == ("MBD", (16, 2, 32))
    assert call.mask is not None
    assert call.mask.mask is not None
    assert call.mask.mask.text == "causal(align=top-left)"
    weights = only(lambda: layer(x, x, x)[0].sum().backward())
    assert (weights.api, weights.notes, weights.backend) == ("mha", ("need_weights",), "")


def test_the_backward_kernel_of_a_layer_is_seen_below_its_projections():
    """It is no neighbour of the layer's output in the graph."""
    layer, x = nn.MultiheadAttention(32, 4, batch_first=True), torch.randn(2, 16, 32)
    call = only(lambda: layer(x, x, x, need_weights=False)[0].sum().backward())
    assert dict(call.kernels) == {
        "_scaled_dot_product_flash_attention_for_cpu": 1,
        "_scaled_dot_product_flash_attention_for_cpu_backward": 1,
    }


def test_padding_of_multi_head_attention_is_read_with_its_meaning():
    """There True forbids."""
    layer, x = nn.MultiheadAttention(32, 4, batch_first=True), torch.randn(2, 16, 32)
    padding = torch.arange(16) >= torch.tensor([[5], [16]])
    call = only(lambda: layer(x, x, x, key_padding_mask=padding, need_weights=False))
    assert call.mask is not None
    assert (call.mask.kind, call.mask.lengths) == ("key-padding", (5, 16))


def test_fast_paths_stay_fast():
    """In eval a layer's native operator runs, as without capture, and an encoder's."""
    layer, x = nn.MultiheadAttention(32, 4, batch_first=True).eval(), torch.randn(2, 16, 32)
    encoder = nn.TransformerEncoder(
        nn.TransformerEncoderLayer(32, 4, 64, batch_first=True), num_layers=3
    ).eval()
    padding = torch.arange(16) >= torch.tensor([[5], [16]])

    def script() -> None:
        with torch.no_grad():
            layer(x, x, x, need_weights=False)
            encoder(x, src_key_padding_mask=padding)

    calls = {call.api: call for call in captured(script).calls}
    assert set(calls) == {"mha-fast-path", "encoder-fast-path"}
    assert calls["encoder-fast-path"].count == 3
    assert calls["encoder-fast-path"].lengths_q == (5, 16)


def test_the_function_behind_the_layer_takes_boolean_masks():
    """The layer makes them float ones; whoever calls the function itself need not."""
    layer, x = nn.MultiheadAttention(32, 4), torch.randn(16, 2, 32)
    padding = torch.arange(16) >= torch.tensor([[5], [16]])
    causal = torch.ones(16, 16, dtype=torch.bool).triu(1)

    def script() -> None:
        weights = (layer.in_proj_weight, layer.in_proj_bias, None, None, False, 0.0)
        ends = (layer.out_proj.weight, layer.out_proj.bias)
        F.multi_head_attention_forward(
            x, x, x, 32, 4, *weights, *ends, key_padding_mask=padding, attn_mask=causal
        )

    call = only(script)
    assert call.mask is not None
    assert call.mask.mask is not None
    assert (call.mask.mask.text, call.mask.lengths) == ("causal(align=top-left)", (5, 16))


@pytest.mark.parametrize("which", ["key_padding_mask", "attn_mask", "both"])
def test_masks_of_the_native_layer_are_read_with_their_meaning(which: str):
    """True forbids there, whatever the dims that `mask_type` says."""
    layer, x = nn.MultiheadAttention(32, 4, batch_first=True).eval(), torch.randn(2, 16, 32)
    padding = torch.arange(16) >= torch.tensor([[5], [16]])
    causal = torch.ones(16, 16, dtype=torch.bool).triu(1)
    masks = {"key_padding_mask": padding, "attn_mask": causal}
    given = masks if which == "both" else {which: masks[which]}

    def script() -> None:
        with torch.no_grad():
            layer(x, x, x, need_weights=False, **given)

    call = only(script)
    assert call.api == "mha-fast-path"
    assert call.mask is not None
    assert call.mask.mask is not None
    assert call.mask.lengths == ((5, 16) if which != "attn_mask" else ())
    spelled = "causal(align=top-left)" if which != "key_padding_mask" else "none"
    assert call.mask.mask.text == spelled


def test_our_own_products_are_not_the_script_s():
    """The sample of logits is a matrix product; nobody may follow it."""
    with attnprobe.capture():
        F.scaled_dot_product_attention(*qkv())
        assert torch._C._len_torch_dispatch_stack() == 0


def test_flex_attention_with_a_block_mask():
    """The mask is what its mask_mod allows."""

    def windowed(b: object, h: object, i: torch.Tensor, j: torch.Tensor) -> torch.Tensor:
        return (i - j < 32) & (i >= j)

    q = torch.randn(1, 2, 128, 16)

    def script() -> None:
        mask = create_block_mask(windowed, None, None, 128, 128, device="cpu")
        flex_attention(q, q, q, block_mask=mask)

    call = only(script)
    assert call.mask is not None
    assert call.mask.mask is not None
    assert (call.api, call.mask.form) == ("flex", "BlockMask")
    assert call.mask.mask.text == "sliding-window(left=31, right=0, align=top-left)"
    assert call.notes[0].endswith("windowed")


def test_nested_tensors_are_their_lengths():
    """A jagged batch in SDPA, and its backward pass."""

    def script() -> None:
        rows = [torch.randn(n, 4, 8) for n in (5, 9, 3)]
        batch = torch.nested.nested_tensor(rows, layout=torch.jagged, requires_grad=True)
        heads = batch.transpose(1, 2)
        F.scaled_dot_product_attention(heads, heads, heads).values().sum().backward()

    call = only(script, 2)
    assert (call.q.kind, call.q.shape, call.lengths_q) == ("nested", (3, 4, 9, 8), (5, 9, 3))
    assert (call.count, call.backward) == (2, 2)


def test_lucidrains_is_one_call():
    """Its chunks' products are its own."""
    import memory_efficient_attention_pytorch as lucidrains

    q, k, v = qkv(grad=True)
    sizes = {"causal": True, "q_bucket_size": 4, "k_bucket_size": 4}
    call = only(lambda: lucidrains.memory_efficient_attention(q, k, v, **sizes).sum().backward())
    assert (call.api, call.count, call.backward) == ("lucidrains", 1, 1)


def test_xformers_is_seen_even_where_it_refuses():
    """Here, on a CPU, it raises: no call has happened, and that is said."""
    ops = pytest.importorskip("xformers.ops")
    q = torch.randn(1, 7, 2, 8)
    mask = ops.fmha.attn_bias.BlockDiagonalCausalMask.from_seqlens([3, 4])

    def script() -> None:
        with pytest.raises(NotImplementedError):
            ops.memory_efficient_attention(q, q, q, attn_bias=mask, p=0.1)

    call = only(script)
    assert (call.api, call.count, call.layout, call.dropout_p) == ("xformers", 0, "BMHK", 0.1)
    assert call.notes == ("BlockDiagonalCausalMask", "raised 1 times")
    assert call.lengths_q == (3, 4)
    assert call.mask is not None
    assert (call.mask.kind, call.mask.form) == ("block-diagonal", "BlockDiagonalCausalMask")


def test_flash_attn_functions_are_read_by_their_parameters(monkeypatch: pytest.MonkeyPatch):
    """A stand-in with the package's own signatures: plain, packed and of varying lengths."""
    module = ModuleType("flash_attn.flash_attn_interface")
    exec(_FLASH_ATTN, module.__dict__)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    q = torch.randn(2, 16, 4, 8, requires_grad=True)
    ends = torch.tensor([0, 10, 32], dtype=torch.int32)

    def script() -> None:
        module.flash_attn_func(q, q, q, causal=True, window_size=(7, 7)).sum().backward()
        module.flash_attn_qkvpacked_func(torch.randn(2, 16, 3, 4, 8), softcap=30.0)
        flat = q.flatten(0, 1)
        module.flash_attn_varlen_func(flat, flat, flat, ends, ends, 22, 22)

    plain, packed, varlen = sorted(captured(script).calls, key=lambda call: call.where)
    assert plain.mask is not None
    assert plain.mask.mask is not None
    assert plain.mask.mask.text == "sliding-window(left=7, right=0, align=bottom-right)"
    assert (plain.api, plain.layout, plain.backward) == ("flash-attn-2", "BMHK", 1)
    assert (packed.softcap, packed.shared_storage, packed.q.shape) == (30.0, True, (2, 16, 4, 8))
    assert (varlen.layout, varlen.lengths_q) == ("MHK", (10, 22))


_FLASH_ATTN = """
def flash_attn_func(q, k, v, dropout_p=0.0, softmax_scale=None, causal=False, window_size=(-1, -1),
                    softcap=0.0, alibi_slopes=None, deterministic=False, return_attn_probs=False):
    return q * 1.0
def flash_attn_qkvpacked_func(qkv, dropout_p=0.0, softmax_scale=None, causal=False,
                              window_size=(-1, -1), softcap=0.0, alibi_slopes=None,
                              deterministic=False, return_attn_probs=False):
    return qkv.select(-3, 0) * 1.0
def flash_attn_varlen_func(q, k, v, cu_seqlens_q, cu_seqlens_k, max_seqlen_q, max_seqlen_k,
                           dropout_p=0.0, softmax_scale=None, causal=False, window_size=(-1, -1),
                           softcap=0.0, alibi_slopes=None, deterministic=False,
                           return_attn_probs=False, block_table=None):
    return q * 1.0
"""


def test_varlen_reads_its_window(monkeypatch: pytest.MonkeyPatch):
    """It needs a GPU to run; what it is called with is read before that."""
    from attnprobe.capture.targets import varlen

    q = torch.randn(40, 4, 16)
    ends = torch.tensor([0, 10, 40], dtype=torch.int32)
    seen = varlen.read((q, q, q, ends, ends, 30, 30), {"window_size": (-1, 0)})
    assert (seen.flag, seen.layout) == ("causal(align=bottom-right)", "MHK")
    assert varlen.read((q, q, q, ends, ends, 30, 30), {"is_causal": True}).flag == seen.flag


@pytest.mark.parametrize("reentrant", [True, False])
def test_checkpointing_is_no_second_forward(reentrant: bool):
    """What the backward pass makes again is counted apart, whether written by hand or not."""

    def block(x: torch.Tensor) -> torch.Tensor:
        x = F.scaled_dot_product_attention(x, x, x)
        return ((x @ x.mT) * 0.5).softmax(-1) @ x

    x = torch.randn(2, 4, 8, 8, requires_grad=True)
    found = captured(lambda: checkpoint(block, x, use_reentrant=reentrant).sum().backward(), 4)
    for api in ("sdpa", "hand-written"):
        calls = [call for call in found.calls if call.api == api]
        # with reentrant checkpointing the first call has no gradients, the second has: the first time
        # that a hand-written one is met with gradients is in the backward pass, where nobody looks
        assert sum(call.count for call in calls) == 4
        if not reentrant:
            assert sum(call.recomputed for call in calls) == 4
            assert sum(call.backward for call in calls) == 4


def test_autocast_is_told():
    """The dtype that it computes in, beside the tensors' own."""

    def script() -> None:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            F.scaled_dot_product_attention(*qkv())

    call = only(script)
    assert (call.q.dtype, call.autocast) == ("float32", "bfloat16")


def test_deterministic_mode_is_told_and_left_alone():
    torch.use_deterministic_algorithms(True)
    try:
        call = only(lambda: F.scaled_dot_product_attention(*qkv()))
        assert call.deterministic
        assert torch.are_deterministic_algorithms_enabled()
    finally:
        torch.use_deterministic_algorithms(False)


class _Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(nn.Linear(32, 96) for _ in range(3))

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        for block in self.blocks:
            q, k, v = (t.unflatten(-1, (4, 8)).transpose(1, 2) for t in block(x).chunk(3, -1))
            y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
            x = x + y.transpose(1, 2).flatten(2)
        return x


def test_compiled_calls_are_counted_with_their_mask_and_backend():
    """One graph with three calls, run four times, forward and backward; graphs as without capture."""
    from torch._dynamo.testing import CompileCounterWithBackend

    torch._dynamo.reset()
    counter = CompileCounterWithBackend("aot_eager")
    mask = torch.ones(16, 16, dtype=torch.bool).tril()
    with attnprobe.capture() as seen:
        compiled = torch.compile(_Net(), backend=counter, fullgraph=True)
        for _ in range(4):
            compiled(torch.randn(2, 16, 32), mask).sum().backward()
    assert counter.frame_count == 1
    (call,) = seen.capture.calls
    assert (call.count, call.backward, call.compiled) == (12, 12, True)
    assert (call.backend, call.function) == ("sdpa-flash", "forward")
    assert call.mask is not None
    assert call.mask.kind == "causal"
    assert seen.capture.gaps == ()


def test_a_recompilation_is_told():
    """Another batch size compiles the function again."""
    torch._dynamo.reset()
    compiled = torch.compile(_Net(), backend="eager")
    mask = torch.ones(16, 16, dtype=torch.bool)
    found = captured(lambda: [compiled(torch.randn(b, 16, 32), mask) for b in (2, 3)])
    ((place, times),) = found.recompiles
    assert place.startswith("tests/capture/test_apis.py:")
    assert (place.endswith(" forward"), times) == (True, 1)


def test_a_layer_in_a_compiled_region():
    """torch.compile takes it as a whole; its padding mask forbids where it is True."""
    torch._dynamo.reset()
    layer = nn.MultiheadAttention(32, 4, batch_first=True)
    compiled = torch.compile(layer, backend="aot_eager")
    x, padding = torch.randn(2, 16, 32), torch.arange(16) >= torch.tensor([[5], [16]])
    call = only(
        lambda: compiled(x, x, x, need_weights=False, key_padding_mask=padding)[0].sum().backward(),
        2,
    )
    assert (call.api, call.count, call.backward, call.compiled) == ("mha", 2, 2, True)
    assert call.backend == "sdpa-flash"
    assert call.mask is not None
    assert (call.mask.kind, call.mask.lengths) == ("key-padding", (5, 16))


def test_hand_written_attention_in_a_compiled_region():
    """Two products and a softmax among the nodes of its graph."""
    torch._dynamo.reset()

    @torch.compile(backend="aot_eager", fullgraph=True)
    def attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        return (q @ k.transpose(-1, -2) * 0.125).softmax(-1) @ v

    call = only(lambda: attention(*qkv(8, 16, grad=True)).sum().backward(), 2)
    assert (call.api, call.count, call.backward, call.scale) == ("hand-written", 2, 2, 0.125)
    assert (call.q.shape, call.k.shape) == ((2, 4, 8, 8), (2, 4, 16, 8))


def test_a_compiled_optimizer_counts_its_steps():
    torch._dynamo.reset()
    weight = nn.Parameter(torch.ones(2))
    optimizer = torch.optim.SGD([weight], lr=0.1)
    step = torch.compile(optimizer.step, backend="eager")

    def script() -> None:
        weight.grad = torch.ones(2)
        optimizer.step()

    assert captured(script, 3).steps == 3
    step()


def test_timing_tells_forward_and_backward_and_changes_no_bit():
    """Gradients with and without, where one tensor is queries, keys and values."""
    x = torch.randn(2, 4, 16, 8, requires_grad=True)

    def gradient() -> torch.Tensor:
        y = x * 3.0
        (found,) = torch.autograd.grad(F.scaled_dot_product_attention(y, y, y).pow(2).sum(), x)
        return found

    expected, found = gradient(), []
    (call,) = captured(lambda: found.append(gradient()), 3, timing=True).calls
    assert all(torch.equal(one, expected) for one in found)
    assert call.forward is not None
    assert call.backward_times is not None
    assert (call.forward.timed, call.backward_times.timed) == (3, 3)
    assert call.seconds is not None
    assert call.seconds == pytest.approx(call.forward.total_s + call.backward_times.total_s)


def test_scripted_functions_still_compile():
    """torch.jit.script finds the operators behind the wrappers."""

    def function(q: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
        return torch.matmul(torch.nn.functional.scaled_dot_product_attention(q, k, k), k.mT)

    with attnprobe.capture():
        scripted = torch.jit.script(function)
        q, k, _ = qkv()
        torch.testing.assert_close(scripted(q, k), function(q, k))


def test_what_is_traced_is_not_looked_at():
    """torch.jit.trace records every look at a shape: it gives the same graph as without capture."""

    def function(q: torch.Tensor) -> torch.Tensor:
        return F.scaled_dot_product_attention(q, q, q) @ q.mT

    q = qkv()[0]
    kinds = [node.kind() for node in torch.jit.trace(function, q).graph.nodes()]
    with attnprobe.capture() as seen:
        traced = torch.jit.trace(function, q)
    assert [node.kind() for node in traced.graph.nodes()] == kinds
    assert (seen.capture.gaps, {call.api for call in seen.capture.calls}) == ((), {"sdpa"})


def test_functions_are_pickled_and_copied():
    """By the name under which everybody imports them."""
    with attnprobe.capture():
        function = F.scaled_dot_product_attention
        assert pickle.loads(pickle.dumps(function)) is function
        assert copy.deepcopy(function) is function


def test_transforms_see_no_difference():
    """Vmap and grad over the function, with sampling of masks and logits kept out of them."""
    q, k, v = qkv()

    def loss(q: torch.Tensor) -> torch.Tensor:
        return F.scaled_dot_product_attention(q, k[0], v[0]).sum()

    expected = torch.vmap(torch.func.grad(loss))(q)
    with attnprobe.capture() as seen:
        found = torch.vmap(torch.func.grad(loss))(q)
    assert torch.equal(found, expected)
    assert seen.capture.gaps == ()


def test_a_subclass_is_handed_the_public_function():
    """What it compares with is what its author can name."""

    class Tagged(torch.Tensor):
        seen: list[object] = []  # noqa: RUF012 - the class is the place to look

        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            cls.seen.append(func)
            return super().__torch_function__(func, types, args, kwargs)

    q = torch.randn(1, 2, 4, 8).as_subclass(Tagged)
    with attnprobe.capture():
        F.scaled_dot_product_attention(q, q, q)
        torch.matmul(q, q.mT)
        assert F.scaled_dot_product_attention in Tagged.seen
        assert torch.matmul in Tagged.seen


def test_what_was_imported_during_a_capture_is_seen_by_the_next(monkeypatch: pytest.MonkeyPatch):
    """A module that bound the watched function keeps it, and it can be watched again."""
    module = ModuleType("imported_meanwhile")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    with attnprobe.capture():
        exec("from torch.nn.functional import scaled_dot_product_attention", module.__dict__)
    assert only(lambda: module.scaled_dot_product_attention(*qkv())).count == 1
    assert module.scaled_dot_product_attention is F.scaled_dot_product_attention


def test_a_capture_inside_another_says_that_it_sees_nothing():
    """The outer one records."""
    with attnprobe.capture() as outer, attnprobe.capture() as inner:
        F.scaled_dot_product_attention(*qkv())
    assert outer.capture.calls[0].count == 1
    assert ("calls of sdpa", "another capture is watching them") in {
        (gap.what, gap.why) for gap in inner.capture.gaps
    }


class _Rows(torch.utils.data.Dataset):  # type: ignore[type-arg]
    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> torch.Tensor:
        return F.scaled_dot_product_attention(*qkv())[0]


def test_workers_of_a_data_loader_are_not_counted():
    """What they compute is no step of the model."""
    loader = torch.utils.data.DataLoader(_Rows(), num_workers=1)
    assert captured(lambda: list(loader)).calls == ()


def test_a_decorator_captures_each_call(tmp_path, capsys):
    """The file is what the commands take, and printing shows the table."""
    path = tmp_path / "run.json"

    @attnprobe.capture(str(path))
    def train() -> None:
        F.scaled_dot_product_attention(*qkv())

    train()
    from attnprobe.capture.load import load

    assert load(path).calls[0].count == 1
    with attnprobe.capture() as seen:
        F.scaled_dot_product_attention(*qkv())
    print(seen)
    assert "2x4x16x8" in capsys.readouterr().out
