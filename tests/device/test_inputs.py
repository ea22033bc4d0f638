"""Inputs are the same bits everywhere, and each family and memory layout is what its name says."""

from __future__ import annotations

import pytest
import torch

from attnprobe.core import case as core_case
from attnprobe.core.case import Case, Lengths
from attnprobe.core.score import Bias, Score
from attnprobe.device import inputs, memory
from attnprobe.device.inputs import make

CASE = Case(B=2, Hq=4, Hkv=4, Mq=24, Mkv=24, K=16, Kv=16, dtype="float32")


def test_the_host_knows_the_families_and_layouts_of_the_child() -> None:
    """A workload with another name is refused before a child is started."""
    assert tuple(inputs.FAMILIES) == core_case.FAMILIES
    assert tuple(memory.LAYOUTS) == core_case.LAYOUTS


def test_the_bits_depend_on_the_recipe_alone() -> None:
    """The first numbers of seed 0, as any torch on any machine draws them."""
    first = make(CASE).q.flatten()[:3]
    expected = torch.randn(1, generator=torch.Generator().manual_seed(0))
    assert torch.equal(make(CASE).q, make(CASE).q)
    assert not torch.equal(make(CASE).q, make(CASE.edit(seed=1)).q)
    assert first.isfinite().all()
    assert expected.isfinite().all()


@pytest.mark.parametrize("layout", core_case.LAYOUTS)
def test_a_layout_changes_strides_and_no_value(layout: str) -> None:
    """Layouts hold the values of BHMK, but for those that share keys or values by design."""
    plain, other = make(CASE), make(CASE.edit(layout=layout))
    assert torch.equal(plain.q, other.q)
    if layout == "expanded-kv":
        assert torch.equal(other.k, plain.k[:1].expand_as(plain.k))
    else:
        assert torch.equal(plain.k, other.k)
        assert torch.equal(other.v, plain.k if layout == "shared-kv" else plain.v)


def test_each_layout_is_laid_out_as_it_says() -> None:
    """The strides that make libraries choose another kernel, copy or refuse."""
    H, M, K = 4, 24, 16
    made = {name: make(CASE.edit(layout=name)) for name in core_case.LAYOUTS}
    assert made["BHMK"].k.is_contiguous()
    assert made["BMHK"].k.stride() == (M * H * K, K, H * K, 1)
    assert made["packed-qkv"].k.stride() == (3 * M * H * K, K, 3 * H * K, 1)
    packed = made["packed-qkv"]
    assert packed.q.untyped_storage().data_ptr() == packed.v.untyped_storage().data_ptr()
    assert made["expanded-kv"].k.stride()[0] == 0
    assert made["strided"].k.stride()[-1] == 2
    assert made["unaligned"].k.storage_offset() == 1
    assert made["unaligned"].k.is_contiguous()
    cache = made["kv-cache"].k
    assert cache.stride() == (H * (M + memory.SPARE) * K, (M + memory.SPARE) * K, K, 1)
    assert torch.as_strided(cache, (1,), (1,), M * K).isnan().all()
    assert len({t.stride() for t in (made["mixed"].q, made["mixed"].k, made["mixed"].v)}) == 3
    assert made["shared-kv"].k.data_ptr() == made["shared-kv"].v.data_ptr()


def test_packed_qkv_with_other_lengths_is_a_problem_of_the_case() -> None:
    """There is no such tensor, and the host can say so."""
    case = CASE.edit(Mkv=25, layout="packed-qkv")
    assert any("packed-qkv" in problem for problem in case.problems)


def test_unknown_names_are_problems_of_the_case() -> None:
    """Each with the values that are known."""
    problems = CASE.edit(family="gaussian", layout="BHKM", dtype="int8").problems
    assert len(problems) == 3
    assert any("large-logits" in problem for problem in problems)


def _family(name: str) -> inputs.Inputs:
    return make(CASE.edit(family=name, Mq=64, Mkv=64))


def _logits(name: str) -> torch.Tensor:
    drawn = _family(name)
    return drawn.q @ drawn.k.transpose(-2, -1) * 16**-0.5


def test_uniform_keys_have_a_mean() -> None:
    """The mean key is far from zero, so that an error in D = rowsum(dO O) shows in dQ."""
    drawn = _family("uniform")
    assert drawn.k.min() >= 0
    assert drawn.k.mean() > 0.4


def test_large_logits_are_large() -> None:
    """An exponential without a subtracted maximum overflows float32 at 88."""
    assert _logits("large-logits").max() > 88


def test_very_negative_lse_is_below_zero_everywhere() -> None:
    """A running maximum that starts at 0 underflows every exponential."""
    assert _logits("very-negative-lse").logsumexp(-1).max() < -20


def test_outlier_channels_have_an_offset_and_spikes() -> None:
    """One channel apart from the others, one element in a hundred ten times as large."""
    drawn = _family("outlier-channels")
    assert drawn.k[..., 0].mean() > 3
    assert drawn.q.abs().max() > 8


def test_constant_keys_are_constant() -> None:
    """All keys of a head are one."""
    drawn = _family("constant-keys")
    assert torch.equal(drawn.k, drawn.k[:, :, :1].expand_as(drawn.k))


def test_one_hot_puts_the_weight_on_one_key() -> None:
    """Almost all of every row lies on one key."""
    weights = _logits("one-hot").softmax(-1)
    assert weights.max(-1).values.median() > 0.99


def test_cancelling_values_nearly_vanish_in_the_mean() -> None:
    """Values of 50 whose weighted sum is small."""
    drawn = _family("cancelling")
    out = _logits("cancelling").softmax(-1) @ drawn.v
    assert drawn.v.abs().mean() > 45
    assert out.abs().mean() < 10


def test_padding_has_no_cotangent() -> None:
    """No loss looks at padded rows, so no gradient flows into them."""
    case = CASE.edit(lengths=Lengths((5, 24), (24, 24)))
    dout = make(case).dout
    assert torch.count_nonzero(dout[0, :, 5:]) == 0
    assert torch.count_nonzero(dout[1]) == dout[1].numel()


def test_a_tail_belongs_to_nobody() -> None:
    """Tokens behind the last packed sequence have no cotangent either."""
    case = CASE.edit(lengths=Lengths((5, 7), (24, 24), "packed", tail=3))
    dout = make(case).dout
    assert dout.shape[2] == 15
    assert torch.count_nonzero(dout[:, :, 12:]) == 0


def test_the_bias_has_its_own_dtype_and_shape() -> None:
    """Broadcast dims are 1."""
    score = Score(bias=Bias(B=False, H=True, M=False, N=True, dtype="float32"))
    bias = make(CASE.edit(dtype="bfloat16", score=score)).bias
    assert bias is not None
    assert bias.shape == (1, 4, 1, 24)
    assert bias.dtype is torch.float32


def test_a_huge_case_says_that_it_was_drawn_on_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its bits are not those of other devices, and nobody should think so."""
    monkeypatch.setattr(inputs, "ON_DEVICE_ABOVE", 10)
    assert make(CASE).drawn_on == CASE.device


@pytest.mark.parametrize(
    "layout", ["strided", "unaligned", "packed-qkv", "expanded-kv", "kv-cache"]
)
def test_elsewhere_memory_is_read_alike(layout: str) -> None:
    """Explanations of a wrong stride or address need the memory itself, not the values alone."""
    case = CASE.edit(layout=layout, Hkv=CASE.Hq)
    k = make(case).k
    moved = memory.elsewhere(k, "meta")
    assert (moved.shape, moved.stride()) == (k.shape, k.stride())
    assert moved.storage_offset() == k.storage_offset()
    assert moved.untyped_storage().nbytes() == k.untyped_storage().nbytes()
