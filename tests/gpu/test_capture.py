"""On a CUDA device: backends by their kernels, times by events, memory, and nobody waits for it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

import attnprobe
from attnprobe.core.capture import Call, Capture

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]

MIB = 2**20


def qkv(M: int = 512, grad: bool = True) -> tuple[torch.Tensor, ...]:
    return tuple(
        torch.randn(2, 8, M, 64, device="cuda", dtype=torch.bfloat16, requires_grad=grad)
        for _ in range(3)
    )


def captured(script: Callable[[], object], times: int = 1, timing: bool = False) -> Capture:
    with attnprobe.capture(timing=timing) as seen:
        for _ in range(times):
            script()
    assert seen.capture.gaps == ()
    return seen.capture


def only(script: Callable[[], object], times: int = 1, timing: bool = False) -> Call:
    (call,) = captured(script, times, timing).calls
    return call


@pytest.mark.parametrize(
    ("backend", "name"),
    [
        (SDPBackend.FLASH_ATTENTION, "sdpa-flash"),
        (SDPBackend.EFFICIENT_ATTENTION, "sdpa-mem-efficient"),
        (SDPBackend.CUDNN_ATTENTION, "sdpa-cudnn"),
        (SDPBackend.MATH, "sdpa-math"),
    ],
)
def test_the_backend_that_ran_is_named(backend: SDPBackend, name: str):
    """Forward and backward, each once."""

    def script() -> None:
        with sdpa_kernel(backend):
            F.scaled_dot_product_attention(*qkv()).sum().backward()

    call = only(script, 2)
    assert (call.backend, call.count, call.backward) == (name, 2, 2)
    if name != "sdpa-math":
        assert any("backward" in operator for operator, _ in call.kernels)


def test_times_are_the_device_s():
    """A long call takes longer than a short one, in both directions; the host only launches."""
    short, long = (
        only(lambda M=M: F.scaled_dot_product_attention(*qkv(M)).sum().backward(), 6, timing=True)
        for M in (512, 8192)
    )
    for call in (short, long):
        assert call.forward is not None
        assert call.backward_times is not None
        assert call.forward.timed == call.backward_times.timed == 6
    assert long.forward.each_s > 5 * short.forward.each_s
    assert long.backward_times.each_s > long.forward.each_s


def test_memory_that_a_call_keeps_is_counted():
    """Output and log-sum-exp: at least the output's 2 MiB, and not the 4 GiB that scores would take."""
    call = only(lambda: F.scaled_dot_product_attention(*qkv(1024)))
    assert call.kept_bytes is not None
    assert 2 * MIB <= call.kept_bytes <= 64 * MIB


def test_masks_are_recognised_on_the_device_without_waiting():
    """Torch's own check raises on every synchronisation while calls are made."""
    mask = torch.ones(512, 512, device="cuda", dtype=torch.bool).tril()
    tensors = qkv()

    def script() -> None:
        torch.cuda.set_sync_debug_mode("error")
        try:
            F.scaled_dot_product_attention(*tensors, attn_mask=mask).sum().backward()
            (tensors[0] @ tensors[1].mT * 0.125).masked_fill(~mask, -torch.inf).softmax(
                -1
            ) @ tensors[2]
        finally:
            torch.cuda.set_sync_debug_mode("default")

    calls = {call.api: call for call in captured(script, 4).calls}
    for api in ("sdpa", "hand-written"):
        found = calls[api].mask
        assert found is not None
        assert found.mask is not None
        assert found.mask.text == "causal(align=top-left)"


def test_a_cuda_graph_is_recorded_as_without_capture():
    """Nothing of ours is recorded into it."""
    q, k, v = qkv(grad=False)
    stream = torch.cuda.Stream()
    with attnprobe.capture() as seen:
        with torch.cuda.stream(stream):
            F.scaled_dot_product_attention(q, k, v, is_causal=True)
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            out = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        graph.replay()
    torch.cuda.synchronize()
    torch.testing.assert_close(out, F.scaled_dot_product_attention(q, k, v, is_causal=True))
    assert seen.capture.gaps == ()


def test_compiled_calls_are_counted_under_cuda_graphs():
    """`reduce-overhead` replays without Python; the region still says how often it runs."""
    torch._dynamo.reset()

    @torch.compile(mode="reduce-overhead")
    def attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        return F.scaled_dot_product_attention(q * 1.5, k, v, is_causal=True).relu()

    tensors = qkv(grad=False)
    call = only(lambda: attention(*tensors), 8)
    assert (call.count, call.compiled) == (8, True)


def test_varlen_and_nested_tensors():
    """Packed sequences by their ends, jagged ones by their offsets."""
    varlen = pytest.importorskip("torch.nn.attention.varlen")
    x = torch.randn(96, 8, 64, device="cuda", dtype=torch.bfloat16)
    ends = torch.tensor([0, 32, 96], device="cuda", dtype=torch.int32)

    def script() -> None:
        varlen.varlen_attn(x, x, x, ends, ends, 64, 64)
        rows = [x[:32], x[32:]]
        nested = torch.nested.nested_tensor(rows, layout=torch.jagged).transpose(1, 2)
        F.scaled_dot_product_attention(nested, nested, nested)

    calls = {call.api: call for call in captured(script).calls}
    assert calls["varlen"].lengths_q == calls["sdpa"].lengths_q == (32, 64)


def test_xformers_says_which_operator_it_chose():
    """By name, in forward and backward."""
    ops = pytest.importorskip("xformers.ops")
    if not hasattr(ops, "memory_efficient_attention"):
        pytest.skip("this xformers is empty: mslk is missing")
    q = torch.randn(2, 512, 8, 64, device="cuda", dtype=torch.bfloat16, requires_grad=True)

    def script() -> None:
        ops.memory_efficient_attention(
            q, q, q, attn_bias=ops.LowerTriangularMask()
        ).sum().backward()

    call = only(script, 2)
    assert (call.api, call.count, call.backward) == ("xformers", 2, 2)
    assert call.backend.startswith("xformers-")


def test_training_gives_the_same_bits():
    """Six steps under autocast, with dropout, plainly and captured with every call timed."""

    def train() -> list[float]:
        torch.manual_seed(0)
        layer = nn.TransformerEncoderLayer(256, 4, 512, batch_first=True, device="cuda")
        optimizer = torch.optim.AdamW(layer.parameters(), lr=1e-3)
        losses = []
        for _ in range(6):
            x = torch.randn(4, 128, 256, device="cuda")
            with torch.autocast("cuda", dtype=torch.bfloat16):
                loss = layer(x).pow(2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return losses

    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        expected = train()
        with attnprobe.capture(timing=True) as seen:
            assert train() == expected
    finally:
        torch.use_deterministic_algorithms(False)
    assert seen.capture.steps == 6
    assert seen.capture.gaps == ()
