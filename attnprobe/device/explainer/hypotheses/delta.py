"""A backward whose D = rowsum(dO * O) is missing or wrong.

dS = P * (dP - D), so an error of D_i moves row i of dQ along its mean key, sum_j P_ij k_j, and nowhere
else. One number per row is read off dQ by least squares; dK is then corrected with the same numbers.
Both corrections are solutions of attention themselves: the mean key is its output with v = k, and
sum_i P_ij D_i q_i its dV with dO = D q.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from torch import Tensor

from attnprobe.core.score import Score
from attnprobe.device.explainer.seen import Seen, Variant
from attnprobe.device.inputs import Inputs, Outputs
from attnprobe.device.reference import compute

KIND = "result"


NEARLY = 0.05
"""Relative distance of the numbers read off from D itself at which it is D that is missing."""


def variants(seen: Seen) -> Iterator[Variant]:
    """D missing; D wrong in any other way."""
    i, case, dq = seen.inputs, seen.inputs.case, seen.outputs.dq
    if case.score.softcap is not None or not case.scale:
        return
    if not {"dq", "dk"} & set(seen.unexplained):
        return
    wrong = {f.of for f in seen.parity.failures}
    along, right = mean_key(i), (i.dout.double() * seen.reference.out).sum(-1, keepdim=True)
    if dq is not None and seen.reference.dq is not None:
        error = (dq.double() - seen.reference.dq).nan_to_num(0.0, 0.0, 0.0)
        size = (along**2).sum(-1, keepdim=True)
        D = (error * along).sum(-1, keepdim=True) / size.clamp_min(1e-300) / case.scale
        if float((D - right).norm()) > NEARLY * float(right.norm()):
            spoilt = " (as it is when made from a wrong output)" if "out" in wrong else ""
            says = f"D = rowsum(dO * O) of the backward is wrong, row by row{spoilt}"
            yield _variant(i, says, D, along)
            return
    yield _variant(i, "D = rowsum(dO * O) is left out of the backward", right, along)


def mean_key(inputs: Inputs) -> Tensor:
    """(Bc, Hq, Tq, K): keys averaged with the row's probabilities."""
    forward = inputs.case.edit(Kv=inputs.case.K, passes="fwd")
    return compute(replace(inputs, case=forward, v=inputs.k)).out


def _variant(inputs: Inputs, says: str, D: Tensor, along: Tensor) -> Variant:
    """D: what is missing from the subtracted D, per row."""
    case = inputs.case
    score: Score = case.score
    if score.bias is not None:
        score = replace(score, bias=replace(score.bias, requires_grad=False))
    moved = replace(
        inputs,
        case=case.edit(Kv=case.K, passes="fwd+bwd", grads=("v",), score=score),
        v=inputs.k,
        dout=D * inputs.q.double(),
    )

    def undo(outputs: Outputs) -> Outputs:
        dq = None if outputs.dq is None else outputs.dq.double() - case.scale * D * along
        dk = outputs.dk
        if dk is not None:
            shift = compute(moved).dv
            assert shift is not None
            dk = dk.double() - case.scale * shift
        return replace(outputs, dq=dq, dk=dk)

    return Variant(says, inputs, undo, of=("dq", "dk"))
