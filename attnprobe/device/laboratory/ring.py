"""Partial results over chunks of keys, merged by their log-sum-exp, are attention over all keys.

Ring attention (Liu et al., arXiv:2310.01889) and every other way to split the keys rest on a kernel's
log-sum-exp. Here the ranks of a ring are one process: rank r of P owns chunks r and 2P - 1 - r of the
sequence, so that a causal mask costs all ranks the same, each pair of a query chunk and a key chunk is
one call, and the results are merged in float64, which adds no error of its own. Finds a log-sum-exp in
another base or layout, and one that is too coarse to weigh by.

No row of such a ring is without keys. Where windows or documents are split, rows are; a case of causal
attention aligned bottom-right with more queries than keys asks for that: does a chunk that a row may
not attend leave the others alone?

A right kernel is not blamed, because the bound of the merge follows from the bounds of its parts. With
weights w_i, exact partial outputs O_i, their errors at most b_i, those of the log-sum-exps at most l_i
and L the largest l_i, the merged output lies within

    e^L sum_i w_i (e^{l_i} b_i + (e^{l_i} - 1) |O_i - O|)

of O: subtracting O from every part changes nothing, since merged weights sum to 1; what is left of the
exact parts is sum_i w_i (e^{d_i} - 1)(O_i - O) / sum_j w_j e^{d_j} with |d_i| <= l_i, as
sum_i w_i (O_i - O) = 0. A constant that is added to every log-sum-exp cancels and is no fault here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from attnprobe.core.case import Case
from attnprobe.core.mask import NONE, Mask
from attnprobe.core.parity import Failure
from attnprobe.device import reference
from attnprobe.device.backends._user import UserCallable
from attnprobe.device.inputs import Inputs
from attnprobe.device.laboratory import Skipped
from attnprobe.device.numerics import contracts
from attnprobe.device.numerics.bounds import bound
from attnprobe.device.numerics.ties import ties
from attnprobe.device.subject import Subject

RANKS = 2
CHUNKS = 2 * RANKS
FEW = 2
"""Keys of the chunk that all rows attend, where the other chunk has rows without any: beside many keys
a weight of e^0 would drown in the roundings of 16 bits."""
CAUSAL = Mask(None, 0, "top-left")
LATE = Mask(None, 0, "bottom-right")
"""With fewer keys than queries, the first queries attend none of them."""


@dataclass(frozen=True)
class Part:
    """What a backend said of one query chunk and one key chunk, beside the truth; all float64.

    Args:
        out: (B, Hq, n, Kv); likewise `truth`, and `out_bound`, how far they may be apart.
        lse: (B, Hq, n); likewise `lse_truth` and `lse_bound`.
    """

    out: Tensor
    lse: Tensor
    truth: Tensor
    lse_truth: Tensor
    out_bound: Tensor
    lse_bound: Tensor


def examine(subject: Subject) -> tuple[Failure, ...] | Skipped:
    """A ring of two ranks, or a chunk of which some rows attend no key."""
    case = subject.case
    why = _unsuited(case)
    if why:
        return Skipped(why)
    if case.Mq > case.Mkv and not case.mask.is_none:
        return _empty_rows(subject)
    rows, columns = case.Mq // CHUNKS, case.Mkv // CHUNKS
    for c in range(CHUNKS):
        parts = []
        for j in range(c + 1 if case.mask.is_causal else CHUNKS):
            mask = CAUSAL if case.mask.is_causal and j == c else NONE
            given = _chunk(subject.inputs, mask, (c * rows, rows), (j * columns, columns))
            part = _part(subject, given)
            if not isinstance(part, Part):
                return part
            parts.append(part)
        found = _judged(
            parts, f"query chunk {c} of {CHUNKS}, merged over {len(parts)} chunks of keys,"
        )
        if found:
            return (found,)
    return ()


def _unsuited(case: Case) -> str:
    """Why a ring is not made of a case; empty when it is."""
    if case.lengths is not None:
        return "rings are tried on sequences of one length"
    if case.dropout_p:
        return "with dropout, parts do not add up"
    if case.score.alibi or case.score.bias is not None:
        return "rings are tried without biases, which depend on where a chunk lies"
    late = case.mask.is_causal and case.mask.align == "bottom-right" and case.Mq > case.Mkv
    if not case.mask.is_none and not late and not (case.mask.is_causal and case.Mq == case.Mkv):
        return "rings are tried with full attention, and causal attention of equal lengths"
    if min(case.Mq, case.Mkv) < 2 * CHUNKS:
        return f"Mq={case.Mq} and Mkv={case.Mkv} are too short for {CHUNKS} chunks"
    return ""


def _chunk(inputs: Inputs, mask: Mask, rows: tuple[int, int], columns: tuple[int, int]) -> Inputs:
    """Some queries and some keys, each a (start, length), as the buffers that a ring sends around."""
    case = inputs.case.edit(
        Mq=rows[1], Mkv=columns[1], mask=mask, mask_form="best", layout="BHMK", passes="fwd"
    )
    q, dout = (t.narrow(2, *rows).contiguous() for t in (inputs.q, inputs.dout))
    k, v = (t.narrow(2, *columns).contiguous() for t in (inputs.k, inputs.v))
    return replace(inputs, case=case, q=q, k=k, v=v, dout=dout)


def _part(subject: Subject, given: Inputs) -> Part | Skipped | tuple[Failure, ...]:
    case = given.case
    got = subject.run(given)
    if got.lse is None:
        return Skipped(_without_lse(subject))
    if tuple(got.lse.shape) != case.q_shape[:3]:
        shape = f"of shape {tuple(got.lse.shape)}, not (B, Hq, Mq) = {case.q_shape[:3]}"
        return (Failure("lse_layout", f"the log-sum-exp is {shape}"),)
    truth = reference.compute(given)
    contract = contracts.get(subject.backend.contract(case), case.dtype)
    tied = ties(given)

    def allowed(name: str) -> Tensor:
        budget = bound(name, truth, contract, case)
        compared = truth.has_keys[..., None].expand_as(budget.truth)
        return budget.only(compared, tied.of(name)).element(truth.level)

    return Part(
        out=got.out.double(),
        lse=got.lse.double(),
        truth=truth.out,
        lse_truth=truth.lse,
        out_bound=allowed("out"),
        lse_bound=allowed("lse")[..., 0],
    )


def _without_lse(subject: Subject) -> str:
    said = "the backend gives no log-sum-exp, so that its results cannot be merged"
    if not isinstance(subject.backend, UserCallable):
        return said
    return (
        f"{said}: a callable that takes return_lse=True and then returns (out, lse) is asked for it"
    )


def _merged(outs: list[Tensor], lses: list[Tensor]) -> tuple[Tensor, Tensor]:
    """The output over all keys, and (parts, B, Hq, n, 1) the weight of each part."""
    stacked = torch.stack(lses)
    weights = (stacked - stacked.logsumexp(0)).exp()[..., None]
    return (weights * torch.stack(outs)).sum(0), weights


def _judged(parts: list[Part], what: str) -> Failure | None:
    """Whether the merge of these parts, called `what`, is what they allow."""
    merge = _merge(parts, [part.lse for part in parts])
    if merge.excess <= 1.0:
        return None
    said = f"{what} is off by {merge.excess:.3g} times what is allowed: {merge.worst}"
    if _merge(parts, [part.lse * math.log(2.0) for part in parts]).excess <= 1.0:
        return Failure("lse_base", said, "the log-sum-exp is in base 2")
    if _merge(parts, [_transposed(part.lse) for part in parts]).excess <= 1.0:
        return Failure("lse_layout", said, "the log-sum-exp lies in memory as (B, Mq, Hq)")
    return Failure("accuracy", said, _blame(parts))


@dataclass(frozen=True)
class Merge:
    """The merged output of some parts.

    Args:
        excess: Its largest error over its bound, which the head of this file derives.
        worst: The error there, where that is in the queries of the parts, and the bound.
    """

    excess: float
    worst: str


def _merge(parts: list[Part], lses: list[Tensor]) -> Merge:
    got, _ = _merged([part.out for part in parts], lses)
    truth, weights = _merged([p.truth for p in parts], [p.lse_truth for p in parts])
    largest = torch.stack([part.lse_bound for part in parts]).amax(0)[..., None].exp()
    allowed = torch.zeros_like(truth)
    for part, weight in zip(parts, weights, strict=True):
        step = part.lse_bound[..., None].exp()
        allowed += weight * (step * part.out_bound + (step - 1.0) * (part.truth - truth).abs())
    error = (got - truth).abs().nan_to_num(math.inf)
    allowed = largest * allowed + torch.finfo(torch.float64).tiny
    ratio = error / allowed
    at = tuple(int(n) for n in torch.unravel_index(ratio.argmax(), ratio.shape))
    where = f"error {float(error[at]):.3e} at {list(at)}, at most {float(allowed[at]):.3e}"
    return Merge(float(ratio.max()), where)


def _transposed(lse: Tensor) -> Tensor:
    B, H, M = lse.shape
    return lse.reshape(B, M, H).transpose(1, 2)


def _blame(parts: list[Part]) -> str:
    """With the exact log-sum-exps in place of the backend's, what is left is the outputs' fault."""
    if _merge(parts, [part.lse_truth for part in parts]).excess <= 1.0:
        return "the outputs are right and the log-sum-exps are not"
    return ""


def _empty_rows(subject: Subject) -> tuple[Failure, ...] | Skipped:
    """Keys of which the first rows attend none, merged with keys that all attend."""
    case = subject.case
    rows = (0, case.Mq)
    nothing = _part(subject, _chunk(subject.inputs, LATE, rows, (0, case.Mkv)))
    whole = _part(subject, _chunk(subject.inputs, NONE, rows, (0, FEW)))
    if not isinstance(nothing, Part):
        return nothing
    if not isinstance(whole, Part):
        return whole
    merge = _merge([nothing, whole], [nothing.lse, whole.lse])
    if merge.excess <= 1.0:
        return ()
    empty = nothing.lse_truth.isneginf()
    if bool(nothing.lse[empty].isneginf().all()) and not bool(nothing.out[empty].any()):
        # the rows that attend keys of both are to blame
        found = _judged([nothing, whole], "rows of which some have no keys, merged over 2 chunks,")
        return (found,) if found else ()
    out, lse = float(nothing.out[empty].flatten()[0]), float(nothing.lse[empty].flatten()[0])
    message = (
        f"rows that attend no key of a chunk have the log-sum-exp {lse:g} and the output {out:g}; "
        "merged, they spoil the other chunks, which takes -inf and 0 to avoid: "
        f"{merge.worst}"
    )
    return (Failure("lse_empty", message),)
