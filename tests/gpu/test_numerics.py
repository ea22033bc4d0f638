"""On a CUDA device: the same reference as on the CPU, and a long one within its memory."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from attnprobe.core.case import Case
from attnprobe.core.mask import Mask
from attnprobe.core.score import Bias, Score
from attnprobe.device.inputs import Inputs, make
from attnprobe.device.numerics.judge import judge
from attnprobe.device.reference import Reference, compute, sparse
from tests.numerics.right_backends import BACKENDS

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


def moved(inputs: Inputs) -> Inputs:
    """The same bits on the GPU."""
    tensors = {n: x.cuda() for n, x in vars(inputs).items() if isinstance(x, Tensor)}
    return replace(inputs, case=inputs.case.edit(device="cuda"), **tensors)


def held(reference: Reference) -> int:
    """Bytes of everything that a reference keeps."""
    tensors = [x for x in vars(reference).values() if isinstance(x, Tensor)]
    for moments in reference.moments.values():
        tensors += [x for x in vars(moments).values() if isinstance(x, Tensor)]
        tensors += moments.systematic
    return sum(x.numel() * x.element_size() for x in tensors)


@pytest.mark.parametrize(
    "score", [Score(), Score(softcap=5.0), Score(bias=Bias(requires_grad=True))]
)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_the_reference_is_the_cpu_s(dtype: str, score: Score) -> None:
    """Truth to ten digits, moments to three."""
    mask = Mask(None, 0, "bottom-right")
    inputs = make(Case(2, 8, 2, 300, 333, 64, 64, dtype=dtype, mask=mask, score=score))
    cpu, gpu = compute(inputs), compute(moved(inputs))
    for name, moments in cpu.moments.items():
        got = getattr(gpu, name).cpu()
        torch.testing.assert_close(got, getattr(cpu, name), rtol=1e-10, atol=1e-11)
        for a, b in zip(moments.systematic, gpu.moments[name].systematic, strict=True):
            torch.testing.assert_close(b.cpu(), a, rtol=1e-3, atol=1e-9)


def test_long_keys_fit_in_two_gibibytes() -> None:
    """131,072 queries and keys of 8 heads, row-sparse: scratch and moments take at most 2 GiB."""
    case = Case(1, 8, 8, 131_072, 131_072, 64, 64, dtype="bfloat16", device="cuda")
    case = case.edit(mask=Mask(None, 0, "top-left"))
    g = torch.Generator().manual_seed(0)
    rows = torch.cat([torch.tensor([0, 1]), torch.randint(2, 131_072, (100,), generator=g)])
    rows = rows.unique().cuda()
    inputs = sparse(make(case), rows)
    torch.cuda.empty_cache()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    reference = compute(inputs, rows)
    torch.cuda.synchronize()
    peak = torch.cuda.max_memory_allocated() - before
    truth = [reference.out, reference.lse, reference.dq, reference.dk, reference.dv]
    outputs = sum(x.numel() * x.element_size() for x in truth if x is not None)
    assert held(reference) - outputs < 1.7 * 2**30
    assert peak - outputs < 2 * 2**30
    backend = BACKENDS["sdpa-flash"]
    parity = judge(backend.run(inputs), inputs, reference, backend.contract)
    assert parity.verdict == "pass", parity.failures


@pytest.mark.parametrize("name", ["sdpa-math", "sdpa-flash", "sdpa-mem-efficient"])
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_torch_s_kernels_meet_their_contracts(dtype: str, name: str) -> None:
    """A plain causal case passes, gradients included."""
    case = Case(
        2, 8, 8, 512, 512, 64, 64, dtype=dtype, device="cuda", mask=Mask(None, 0, "top-left")
    )
    inputs = make(case)
    backend = BACKENDS[name]
    parity = judge(backend.run(inputs), inputs, compute(inputs), backend.contract)
    assert parity.verdict == "pass", parity.failures
