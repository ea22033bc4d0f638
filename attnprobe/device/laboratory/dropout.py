"""Dropout by its statistics: rate, scale, independence, and one mask for forward and backward.

Finds a wrong rate, kept probabilities that are not divided by 1 - p, a mask shared by heads, rows,
batch elements or calls, one that no seed repeats, and a backward that draws its own. With q = 0 and
one-hot values the output *is* the mask: 0 where a pair was dropped, 1 / (n (1 - p)) where it was kept;
with a one-hot cotangent the gradient of the values is the mask of the backward, in the same launch. A
right kernel may draw its random numbers in any way and round p to eight bits, as flash-attn does;
counts are held to tails of a Gaussian at `SIGMAS`, values to eight roundings.
Source of the eight bits: flash-attn's `p_dropout_in_uint8_t`
(https://github.com/Dao-AILab/flash-attention/blob/main/csrc/flash_attn/flash_api.cpp).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from attnprobe.core.case import Case
from attnprobe.core.parity import Failure
from attnprobe.device import reference
from attnprobe.device.inputs import Inputs
from attnprobe.device.laboratory import Skipped, _judged
from attnprobe.device.numerics import exact, formats
from attnprobe.device.subject import Subject

SIGMAS = 9.0
"""A Gaussian passes it with probability 2e-19; a sum of squares of binomial counts has a heavier tail
and still passes it with less than 1e-9 at the sizes here."""

STEP = 1.0 / 256.0


@dataclass(frozen=True)
class _Drawn:
    """What one launch dropped.

    Args:
        kept: (B, Hq, Mq, Mkv) bool, of the forward.
        weights: The output, which holds the kept weights.
        backward: The same of the backward; None without one.
    """

    kept: Tensor
    weights: Tensor
    backward: Tensor | None


def examine(subject: Subject) -> tuple[Failure, ...] | Skipped:
    """Three launches: two seeds, and the real values under the first."""
    case = subject.case
    if not case.dropout_p:
        return Skipped("the case has no dropout")
    score = case.score
    forbids = score.bias is not None and score.bias.forbids
    if case.Mkv > case.Kv or case.Mq > case.Kv or case.lengths or score.alibi or forbids:
        return Skipped("the mask is read off where Mq and Mkv are at most Kv, and no score is -inf")
    probe = _probe(subject.inputs)
    allowed = exact.allowed(case, probe.q.device, slice(0, case.Mkv)).expand(_scores(case))
    first = _drawn(subject, probe)
    other = _drawn(subject, replace(probe, case=case.edit(seed=case.seed + 1)))
    pairs = allowed.sum(-1, keepdim=True).clamp_min(1)
    found = [
        *_values(case, first, allowed, pairs),
        *_rate(case, first.kept, allowed),
        *_spread(first.kept, allowed),
        *_calls(first.kept, other.kept, allowed),
    ]
    if first.backward is not None and not torch.equal(first.backward, first.kept):
        differing = int((first.backward != first.kept).sum())
        message = f"the backward's mask differs from the forward's in {differing} pairs"
        return (*found, Failure("dropout", message))
    return tuple(found) or _real(subject, first, _drawn(subject, probe).kept)


def _scores(case: Case) -> tuple[int, int, int, int]:
    return (case.B, case.Hq, case.Mq, case.Mkv)


def _probe(inputs: Inputs) -> Inputs:
    """Uniform attention over one-hot values, one-hot cotangents of the first head of each group.

    A bias is 0 here, and its own in `_real`.
    """
    case = inputs.case
    v, dout = torch.zeros_like(inputs.v), torch.zeros_like(inputs.dout)
    keys = torch.arange(case.Mkv, device=v.device)
    queries = torch.arange(case.Mq, device=v.device)
    v[:, :, keys, keys] = 1.0
    dout[:, :: case.groups, queries, queries] = 1.0
    bias = None if inputs.bias is None else torch.zeros_like(inputs.bias)
    return replace(inputs, q=torch.zeros_like(inputs.q), v=v, dout=dout, bias=bias)


def _drawn(subject: Subject, probe: Inputs) -> _Drawn:
    case = probe.case
    outputs = subject.run(probe)
    weights = outputs.out[..., : case.Mkv]
    kept, backward = weights != 0, None
    if outputs.dv is not None:
        backward = kept.clone()  # heads without a cotangent say nothing
        backward[:, :: case.groups] = (outputs.dv[..., : case.Mq] != 0).mT
    return _Drawn(kept, weights, backward)


def _values(case: Case, drawn: _Drawn, allowed: Tensor, pairs: Tensor) -> tuple[Failure, ...]:
    """Kept weights are 1 / (n (1 - p)), and nothing masked is kept."""
    leaked = int((drawn.kept & ~allowed).sum())
    if leaked:
        return (Failure("mask", f"with dropout {leaked} masked pairs are attended"),)
    factor = (drawn.weights.double() * pairs)[drawn.kept] * (1.0 - case.dropout_p)
    if not factor.numel():
        return (Failure("dropout", "every pair was dropped"),)
    tolerance = 8.0 * formats.of(case.dtype).u + STEP / (1.0 - case.dropout_p)
    worst = float((factor - 1.0).abs().max())
    if worst <= tolerance:
        return ()
    message = (
        f"kept weights are {float(factor.median()) / (1.0 - case.dropout_p):.4g} times their value "
        f"without dropout; 1 / (1 - p) is {1.0 / (1.0 - case.dropout_p):.4g}"
    )
    return (Failure("dropout", message),)


def _rate(case: Case, kept: Tensor, allowed: Tensor) -> tuple[Failure, ...]:
    n, p = int(allowed.sum()), case.dropout_p
    rate = 1.0 - float((kept & allowed).sum()) / n
    if abs(rate - p) <= SIGMAS * math.sqrt(p * (1.0 - p) / n) + STEP:
        return ()
    return (Failure("dropout", f"{100 * rate:.1f}% of {n} pairs are dropped; p is {p:g}"),)


def _spread(kept: Tensor, allowed: Tensor) -> tuple[Failure, ...]:
    """Sums over independent pairs scatter like binomial counts; over repeated ones they scatter more."""
    p = 1.0 - float((kept & allowed).sum()) / int(allowed.sum())
    if not 0.0 < p < 1.0:
        return ()
    centred = (kept.double() - (1.0 - p)) * allowed
    found = []
    for words, dims in (
        ("batch elements and heads", (0, 1)),
        ("batch elements", (0,)),
        ("heads", (1,)),
        ("queries", (2,)),
        ("keys", (3,)),
    ):
        n = allowed.sum(dims).double()
        held = n > 1
        if not bool(held.any()):
            continue
        square = (centred.sum(dims) ** 2)[held] / (n[held] * p * (1.0 - p))
        excess = float((square - 1.0).sum()) / math.sqrt(2.0 * square.numel())
        if excess > SIGMAS * _tail(p):
            message = (
                f"pairs are not dropped independently over {words}: scatter {excess:.0f} sigma"
            )
            found.append(Failure("dropout", message))
    return tuple(found[:1])


def _tail(p: float) -> float:
    """How much wider the square of one standardised draw scatters than a Gaussian's, at least 1.

    Its variance is 1 / (p (1 - p)) - 4 for n = 1 and tends to 2; sums over n > 1 draws lie between.
    """
    return max(1.0, math.sqrt((1.0 / (p * (1.0 - p)) - 4.0) / 2.0))


def _calls(one: Tensor, other: Tensor, allowed: Tensor) -> tuple[Failure, ...]:
    """Two calls under two seeds agree as often as independent draws do."""
    n = int(allowed.sum())
    p = 1.0 - float((one & allowed).sum()) / n
    chance = p * p + (1.0 - p) ** 2
    share = float(((one == other) & allowed).sum()) / n
    if share <= chance + SIGMAS * math.sqrt(chance * (1.0 - chance) / n) + 2.0 * STEP:
        return ()
    message = (
        f"two calls drop the same pairs: {100 * share:.0f}% agree, {100 * chance:.0f}% by chance"
    )
    return (Failure("dropout", message),)


def _real(subject: Subject, drawn: _Drawn, repeated: Tensor) -> tuple[Failure, ...]:
    """Real values, held to the reference of the very mask, which the same seed gives again."""
    if not torch.equal(repeated, drawn.kept):
        message = (
            "two calls after the same torch.manual_seed drop other pairs: runs cannot be repeated, and "
            "activation checkpointing differentiates another function"
        )
        return (Failure("dropout", message),)
    truth = reference.at_home(subject.inputs, drawn=drawn.kept)
    wrong = _judged.failures(subject, subject.run(), subject.inputs, truth)
    return _judged.renamed(wrong, "dropout", "under the mask that was drawn")
