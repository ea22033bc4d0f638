"""What really ran is read from the profiler, and a silent fallback is called one."""

import time

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

from attnprobe.device.measure import believed, observe, unexpected
from attnprobe.device.measure.kernels import is_unfused, short
from tests.measure.attention import Attention, small, written_out

FLASH = r"flash_(fwd|bwd)|_flash_attention_for_cpu"


def qkv(**keywords):
    return [torch.randn(1, 2, 16, 16, **keywords) for _ in range(3)]


def test_the_cpu_flash_kernel_is_seen_by_name():
    """One operator, without the views around it."""
    q, k, v = qkv()
    seen = observe(lambda: scaled_dot_product_attention(q, k, v), "cpu")
    assert "aten::_scaled_dot_product_flash_attention_for_cpu" in seen
    assert not any(
        name.startswith(("aten::view", "aten::transpose", "aten::empty")) for name in seen
    )
    assert believed(seen, FLASH)
    assert unexpected(seen, FLASH) == ""


def test_backward_is_seen_too():
    """The names of a whole pass include those of its backward."""
    q, k, v = qkv(requires_grad=True)

    def both():
        out = scaled_dot_product_attention(q, k, v)
        return torch.autograd.grad(out, (q, k, v), torch.ones_like(out))

    assert any("flash_attention_for_cpu_backward" in name for name in observe(both, "cpu"))


def test_a_silent_fall_back_to_math_is_named():
    """SDPA picks math where flash cannot serve; asked for flash, that is what is reported."""
    q, k, v = qkv()

    def math():
        with sdpa_kernel(SDPBackend.MATH):
            return scaled_dot_product_attention(q, k, v)

    assert unexpected(observe(math, "cpu"), FLASH).startswith("fell back to unfused math")


def test_softmax_written_out_is_unfused():
    """matmul, softmax, matmul: no fused kernel among them."""
    _, inputs = small()
    assert is_unfused(observe(Attention(written_out).prepare(inputs).launch, "cpu"))


@pytest.mark.parametrize(
    ("names", "unfused"),
    [
        (("void pytorch_flash::flash_fwd_kernel<Flash_fwd_kernel_traits<64, 128>>",), False),
        (
            ("fmha_cutlassF_bf16_aligned_64x64_rf_sm80(PyTorchMemEffAttention::AttentionKernel)",),
            False,
        ),
        (("cudnn_generated_fort_native_sdpa_sm90_flash_fprop_wgmma_f16_knob_3_64x64x64",), False),
        (("triton_tem_fused_flex_attention_0",), False),
        (("_fwd_kernel_splitK", "_splitK_reduce"), False),
        (("nvjet_hsh_128x256_64x4_1x2_h_bz_NNT", "void softmax_warp_forward<float>"), True),
        (("sm80_xmma_gemm_f32f32", "at::native::cunn_SoftMaxForward<8, float>"), True),
        (("flash_fwd_splitkv_kernel", "void softmax_warp_forward<float>"), False),
        (("void at::native::vectorized_elementwise_kernel<4>",), False),
    ],
)
def test_cuda_names_tell_fused_kernels_from_matmul_and_softmax(names, unfused):
    """Names as CUPTI reports them on an H200, shortened."""
    assert is_unfused(names) is unfused


def test_nothing_seen_is_no_accusation():
    """An empty profile is no evidence that another backend ran; neither is an empty pattern."""
    assert unexpected((), FLASH) == ""
    assert unexpected(("anything",), "") == ""
    assert "no kernel matches" in unexpected(("something_else",), FLASH)


def test_observing_costs_milliseconds():
    """Processor time, call included; the best of five, for this machine is shared."""
    q, k, v = qkv()

    def call():
        return scaled_dot_product_attention(q, k, v)

    observe(call, "cpu")
    took = []
    for _ in range(5):
        start = time.process_time()
        observe(call, "cpu")
        took.append(time.process_time() - start)
    assert min(took) < 5e-3


def test_names_are_readable() -> None:
    """ATen's functors are dropped; a fused kernel keeps the parameters that tell it apart."""
    long = "void at::native::vectorized_elementwise_kernel<4, at::native::FillFunctor<int>>(int)"
    fused = "void pytorch_flash::flash_fwd_kernel<Flash_fwd_kernel_traits<64, 128, 128>>(Params)"
    hidden = "void at::native::(anonymous namespace)::elementwise_kernel_with_index<int>(int)"
    assert short((long, long.replace("4", "8"), fused, hidden)) == (
        "at::native::vectorized_elementwise_kernel",
        "pytorch_flash::flash_fwd_kernel<Flash_fwd_kernel_traits<64, 128, 128>>(Params)",
        "at::native::(anonymous namespace)::elementwise_kernel_with_index",
    )
