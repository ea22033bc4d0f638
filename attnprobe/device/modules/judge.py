"""A layer is right when its error is at most twice that of the same layer written plainly.

Errors are taken against the layer in float64, tensor by tensor (output, gradients of inputs and
weights). The plain layer runs in the dtype of the case, so its error is what that dtype costs; twice
that is what kernel authors allow each other: flash-attention's tests say "at most twice the numerical
error of a Pytorch implementation" (https://github.com/Dao-AILab/flash-attention,
tests/test_flash_attn.py). Two numbers are compared: the norm of the error, by that factor, and the
largest absolute error, by twice that factor. A maximum is one element's luck: over 12 seeds of all
layers (tests/bench/layer_alarms.py, 9,342 tensors of right variants on a CPU, three dtypes) norms came
to 1.6 times the plain layer's, largest elements to 2.1 times. torch's own tests allow these four times
the plain error and more (test/test_transformers.py, `_check_equal`).

A plain layer that happens to be more exact than its dtype would allow too little: its error counts as at
least one rounding of the tensor, and that of a running sum. Each of n additions in such a sum rounds
what has been added so far; with random signs that is a random walk, whose relative error is
u sqrt(n / 6) (its bound is a multiple of u sqrt(n): Higham and Mary, SIAM J. Sci. Comput. 41, 2019,
theorem 2.4). One matmul of three times the length errs more than three that are added, and is not wrong
for it. Where twice the plain layer's error is more than a tenth of the tensor itself, as in gradients
that are zero in truth (a key's bias moves all scores of a row alike), the tensor is no evidence.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from attnprobe.core.parity import Failure, Parity, Quantity, Verdict

CONTRACT = "twice-plain"
FACTOR = 2.0
FACTOR_OF_MAXIMA = 4.0
NO_EVIDENCE = 0.1
"""Resolution from which a tensor says nothing: as in device/numerics/judge.py."""


@dataclass(frozen=True)
class Error:
    """How far a tensor is from the truth.

    Args:
        element: Largest absolute error.
        norm: Frobenius norm of the error.
    """

    element: float
    norm: float

    @classmethod
    def of(cls, found: Tensor, truth: Tensor) -> Error:
        """Taken in float64."""
        off = found.double() - truth
        return cls(float(off.abs().max()), float(torch.linalg.vector_norm(off)))


@dataclass(frozen=True)
class Truth:
    """A layer's tensors in float64, and how far off the plain layer is.

    Args:
        tensors: By name: `out`, and `d` with the name of an input or a weight for its gradient.
        limits: By name: the largest errors that pass.
    """

    tensors: Mapping[str, Tensor]
    limits: Mapping[str, Error]


def allowed(plain: Tensor, truth: Tensor, dtype: torch.dtype, terms: int) -> Error:
    """The largest error of a tensor that passes.

    Args:
        plain: The plain layer's.
        truth: The same in float64.
        dtype: What the layer computes in; sums are float32 or better.
        terms: Products in the longest sum.
    """
    error, u = Error.of(plain, truth), torch.finfo(dtype).eps / 2
    u_sum = min(u, torch.finfo(torch.float32).eps / 2)
    least = u + u_sum * math.sqrt(terms / 6)
    element, norm = float(truth.abs().max()), float(torch.linalg.vector_norm(truth))
    return Error(
        FACTOR_OF_MAXIMA * max(error.element, least * element),
        FACTOR * max(error.norm, least * norm),
    )


def judge(found: Mapping[str, Tensor], truth: Truth) -> Parity:
    """Every tensor of one run against the truth; one that is missing is a failure."""
    quantities: dict[str, Quantity] = {}
    failures: list[Failure] = []
    for name, right in truth.tensors.items():
        if name not in found:
            failures.append(Failure("gradient_missing", f"{name}: no gradient came back"))
            continue
        if found[name].shape != right.shape:
            shapes = f"{tuple(found[name].shape)}; expected {tuple(right.shape)}"
            failures.append(Failure("shape", f"{name} has shape {shapes}"))
            continue
        quantities[name] = one = _quantity(found[name], right, truth.limits[name])
        if one.verdict == "fail":
            failures.append(_failure(name, one))
    verdicts = {one.verdict for one in quantities.values()}
    verdict: Verdict = "fail" if failures else "pass" if "pass" in verdicts else "no_power"
    numerics = CONTRACT if verdict == "pass" else ""
    return Parity(verdict, CONTRACT, numerics, quantities, tuple(failures))


def _quantity(found: Tensor, truth: Tensor, limit: Error) -> Quantity:
    size = float(torch.linalg.vector_norm(truth))
    error = Error.of(found, truth)
    resolution = limit.norm / size if size else float("inf")
    nonfinite = int((~found.isfinite()).sum())
    ratios = {
        "element": _over(error.element, limit.element),
        "group": _over(error.norm, limit.norm),
    }
    level = max(ratios, key=lambda name: ratios[name])
    verdict: Verdict = "pass" if ratios[level] <= 1.0 else "fail"
    if nonfinite:
        verdict = "fail"
    elif resolution > NO_EVIDENCE:
        verdict = "no_power"
    off = (found.double() - truth).abs()
    worst = torch.unravel_index(off.nan_to_num(torch.inf).argmax(), off.shape)
    return Quantity(
        verdict,
        float("inf") if nonfinite else ratios[level],
        level,
        error.norm / size if size else float("inf"),
        resolution,
        tuple(int(n) for n in worst),
        nonfinite,
        max_error=error.element,
    )


def _over(error: float, limit: float) -> float:
    if limit:
        return error / limit
    return float("inf") if error else 0.0


def _failure(name: str, wrong: Quantity) -> Failure:
    if wrong.nonfinite:
        return Failure("nonfinite", f"{name}: {wrong.nonfinite:,} elements are not finite")
    said = (
        f"{name}: relative error {wrong.relative_error:.2g}, largest {wrong.max_error:.2g}: "
        f"{wrong.ratio:.3g} times what the error of the plain layer allows"
    )
    return Failure("accuracy", said)
