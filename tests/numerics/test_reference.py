"""The reference against dense autograd in float64."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from attnprobe.core.case import Case, Lengths
from attnprobe.core.mask import NONE, Mask
from attnprobe.core.score import Bias, Score
from attnprobe.device.alibi import slopes
from attnprobe.device.inputs import Inputs, make
from attnprobe.device.measure.memory import peak
from attnprobe.device.reference import Reference, compute, sparse
from attnprobe.device.reference.regions import SCRATCH_BYTES
from attnprobe.errors import UsageError

SCORES = {
    "plain": Score(),
    "scale": Score(scale=0.7),
    "softcap": Score(softcap=2.0),
    "alibi": Score(alibi=True),
    "bias": Score(bias=Bias(B=True, requires_grad=True)),
    "bias broadcast": Score(bias=Bias(H=False, M=False, requires_grad=True)),
    "everything": Score(scale=0.5, softcap=3.0, alibi=True, bias=Bias(N=False, requires_grad=True)),
}
MASKS = {
    "none": NONE,
    "causal": Mask(None, 0, "top-left"),
    "bottom-right": Mask(None, 0, "bottom-right"),
    "window": Mask(3, 5, "bottom-right"),
}
STORAGES = {
    "padded": Lengths((20, 37, 0), (45, 9, 12)),
    "packed": Lengths((20, 37, 4), (45, 9, 12), storage="packed", tail=3),
    "padded keys": Lengths((20, 37, 4), (45, 9, 12), storage="packed-padded-keys"),
}


def dense(inputs: Inputs) -> dict[str, Tensor]:
    """Autograd of the textbook formula in float64, one sequence at a time."""
    case = inputs.case
    names = ("q", "k", "v", "bias")
    x = {n: getattr(inputs, n) for n in names if getattr(inputs, n) is not None}
    x = {n: t.double().detach().clone().requires_grad_() for n, t in x.items()}
    out, lse = [], []
    for s in case.sequences:
        q = x["q"][s.batch, :, s.q_start : s.q_start + s.Mq]
        keys = slice(s.kv_start, s.kv_start + s.Mkv)
        k, v = (x[n][s.batch, :, keys].repeat_interleave(case.groups, 0) for n in "kv")
        S = (q @ k.mT) * case.scale
        if case.score.softcap is not None:
            S = case.score.softcap * torch.tanh(S / case.score.softcap)
        i, j = torch.arange(s.Mq)[:, None], torch.arange(s.Mkv)[None]
        if case.score.alibi:
            S = S - slopes(case.Hq)[:, None, None] * (i + s.Mkv - s.Mq - j).abs()
        if "bias" in x:
            full = x["bias"].expand(case.B, case.Hq, case.Mq, case.Mkv)
            S = S + full[s.index, :, : s.Mq, : s.Mkv]
        S = S.masked_fill(~case.mask.allows(i, j, s.Mq, s.Mkv), -torch.inf)
        P = torch.softmax(S, -1).nan_to_num(0.0)
        own = inputs.dout[s.batch, :, s.q_start : s.q_start + s.Mq].double()
        out.append(P @ v)
        lse.append(torch.logsumexp(S, -1) if s.Mkv else S.new_full(S.shape[:2], -torch.inf))
        (out[-1] * own).sum().backward()
    found = {f"d{n}": t.grad for n, t in x.items()}
    for name, parts in (("out", out), ("lse", lse)):
        like = torch.zeros(case.q_shape[:3], dtype=torch.float64)
        full = torch.zeros(case.out_shape, dtype=torch.float64) if name == "out" else like
        full = full - (torch.inf if name == "lse" else 0.0)
        for s, part in zip(case.sequences, parts, strict=True):
            full[s.batch, :, s.q_start : s.q_start + s.Mq] = part.detach()
        found[name] = full
    return found


def agree(reference: Reference, truth: dict[str, Tensor]) -> None:
    """Every quantity to twelve digits."""
    for name, expected in truth.items():
        got = getattr(reference, name)
        torch.testing.assert_close(
            got, expected, rtol=1e-12, atol=1e-12, msg=lambda m, n=name: n + m
        )


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("score", SCORES)
def test_equals_autograd(score: str, mask: str) -> None:
    """Output, log-sum-exp and all gradients, GQA, Kv != K, rows without keys included."""
    case = Case(2, 4, 2, 37, 29, 16, 24, dtype="float16", mask=MASKS[mask], score=SCORES[score])
    inputs = make(case)
    agree(compute(inputs), dense(inputs))


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("storage", STORAGES)
def test_every_storage(storage: str, mask: str) -> None:
    """Sequences attend themselves alone, wherever they are stored; tails and slots stay zero."""
    case = Case(3, 4, 2, 37, 45, 16, 16, mask=MASKS[mask], lengths=STORAGES[storage])
    inputs = make(case)
    agree(compute(inputs), dense(inputs))


@pytest.mark.parametrize("scratch", [2**14, 2**17, 2**20])
@pytest.mark.parametrize("score", SCORES)
def test_tiling_changes_nothing(score: str, scratch: int) -> None:
    """Truth and moments do not depend on the tile size, down to tiles of a few rows."""
    mask = Mask(9, 4, "bottom-right")
    case = Case(2, 4, 2, 50, 61, 8, 8, dtype="float16", mask=mask, score=SCORES[score])
    inputs = make(case)
    whole, tiled = compute(inputs), compute(inputs, scratch=scratch)
    for name, moments in whole.moments.items():
        torch.testing.assert_close(
            getattr(tiled, name), getattr(whole, name), rtol=1e-11, atol=1e-12
        )
        for field, one in vars(moments).items():
            other = getattr(tiled.moments[name], field)
            torch.testing.assert_close(
                other, one, rtol=1e-5, atol=1e-9, msg=lambda m, f=field: f + m
            )


@pytest.mark.parametrize("storage", [None, *STORAGES])
def test_row_sparse_is_the_full_reference_of_a_sparse_cotangent(storage: str | None) -> None:
    """Dk and dv of all keys agree with the full computation; out, lse and dq are held for the rows."""
    lengths = STORAGES[storage] if storage else None
    case = Case(3, 4, 2, 37, 45, 16, 16, lengths=lengths)
    rows = torch.tensor([0, 1, 15, 16, 36])
    inputs = sparse(make(case), rows)
    some, full = compute(inputs, rows), compute(inputs)
    assert some.index is not None
    for name in ("dk", "dv"):
        torch.testing.assert_close(getattr(some, name), getattr(full, name), rtol=1e-12, atol=1e-13)
    for name in ("out", "lse", "dq", "has_keys"):
        picked = getattr(full, name)[:, :, some.index]
        held = some.compared.expand(picked.shape[:3])
        torch.testing.assert_close(getattr(some, name)[held], picked[held])


def test_a_gradient_of_the_log_sum_exp() -> None:
    """D lse / d S is P: q and k get their share, v none."""
    inputs = make(Case(2, 4, 2, 9, 12, 8, 8, mask=Mask(None, 0, "top-left")))
    dlse = torch.randn(2, 4, 9)
    q, k = (t.double().requires_grad_() for t in (inputs.q, inputs.k))
    S = q @ k.repeat_interleave(2, 1).mT * inputs.case.scale
    i, j = torch.arange(9)[:, None], torch.arange(12)
    lse = torch.logsumexp(S.masked_fill(j > i, -torch.inf), -1)
    (lse * dlse.double()).sum().backward()
    plain, found = compute(inputs), compute(inputs, dlse=dlse)
    torch.testing.assert_close(found.dq - plain.dq, q.grad, rtol=1e-12, atol=1e-13)
    torch.testing.assert_close(found.dk - plain.dk, k.grad, rtol=1e-12, atol=1e-13)
    assert torch.equal(found.dv, plain.dv)


def test_only_the_gradients_that_are_asked_for() -> None:
    """A case that wants dk alone gets dk alone; a forward case gets none."""
    inputs = make(Case(1, 2, 2, 8, 8, 8, 8, grads=("k",)))
    found = compute(inputs)
    assert (found.dq, found.dv) == (None, None)
    torch.testing.assert_close(found.dk, dense(inputs)["dk"])
    forward = compute(make(inputs.case.edit(passes="fwd")))
    assert (forward.dk, sorted(forward.moments)) == (None, ["lse", "out"])


def test_attended_keys_and_rows_without_keys() -> None:
    """Which keys anyone attends and which queries attend any is read off the mask."""
    found = compute(make(Case(1, 1, 1, 3, 6, 8, 8, mask=Mask(None, 0, "top-left"))))
    assert found.attended[0, 0].tolist() == [True, True, True, False, False, False]
    tall = compute(
        make(Case(1, 1, 1, 6, 3, 8, 8, mask=Mask(None, 0, "bottom-right"), passes="fwd"))
    )
    assert tall.has_keys[0, 0].tolist() == [False, False, False, True, True, True]
    assert bool((tall.lse[0, 0, :3] == -torch.inf).all())


def test_an_infinite_bias_is_a_mask() -> None:
    """-inf in the bias takes the pair out, per head, and its key's gradient is exactly zero."""
    inputs = make(Case(1, 2, 2, 5, 4, 8, 8, score=Score(bias=Bias(requires_grad=True))))
    bias = inputs.bias.clone()
    bias[0, 0, :, 2] = -torch.inf
    found = compute(replace(inputs, bias=bias))
    assert found.attended[0].tolist() == [[True, True, False, True], [True] * 4]
    assert bool((found.dk[0, 0, 2] == 0).all())
    assert bool((found.dbias[0, 0, :, 2] == 0).all())


@pytest.mark.parametrize(("Mq", "Mkv"), [(0, 5), (4, 0), (0, 0)])
def test_empty_sequences(Mq: int, Mkv: int) -> None:
    """No queries or no keys: shapes are right, outputs and gradients zero."""
    found = compute(make(Case(1, 2, 2, Mq, Mkv, 8, 8)))
    assert found.out.shape == (1, 2, Mq, 8)
    assert not bool(found.has_keys.any())
    for name in ("out", "dq", "dk", "dv"):
        assert bool((getattr(found, name) == 0).all())


def test_scratch_memory_does_not_grow_with_the_lengths() -> None:
    """Three times the lengths, nine times the scores: beyond the results the budget is kept."""
    extra = []
    for M in (256, 768):
        inputs = make(Case(1, 2, 1, M, M, 16, 16, mask=Mask(None, 0, "top-left")))
        results = _bytes(compute(inputs, scratch=2**23))
        found = peak(lambda x=inputs: compute(x, scratch=2**23), torch.device("cpu"), 0)
        assert found.bytes is not None
        linear = 8 * 30 * 2 * M * 16  # float64 copies of q, dout and of what queries add up to
        extra.append(found.bytes - results - linear)
    assert extra[1] < 1.3 * 2**23
    assert extra[1] < 1.5 * extra[0]


def test_the_default_scratch_is_within_the_promise() -> None:
    """131,072 keys of 8 heads: moments in bfloat16 and scratch stay below 2 GiB."""
    moments = (5 + 7) * 8 * 131_072 * 64 * 2
    assert moments + SCRATCH_BYTES["cuda"] < 2 * 2**30


def _bytes(reference: Reference) -> int:
    tensors = [x for x in vars(reference).values() if isinstance(x, Tensor)]
    for moments in reference.moments.values():
        tensors += [x for x in vars(moments).values() if isinstance(x, Tensor)]
        tensors += moments.systematic
    return sum(x.numel() * x.element_size() for x in tensors)


def test_float64_inputs_have_no_reference() -> None:
    """float64 is the reference's own format: there is no contract to hold it to."""
    with pytest.raises(UsageError, match="float64"):
        compute(make(Case(1, 1, 1, 4, 4, 8, 8, dtype="float64")))
