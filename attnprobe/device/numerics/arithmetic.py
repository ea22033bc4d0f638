"""How exactly a class of kernels adds, multiplies and exponentiates before anything is stored.

Everything here is relative to float32 accumulation. Two effects are told apart: errors without a
preferred sign, which grow like the root of the chain's length, and truncation, which drifts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

ALPHA = 1e-6
"""Chance of one false alarm per tensor that every bound is built for."""

U32 = 2.0**-24


def confidence(events: int) -> float:
    """lambda: none of `events` sub-Gaussian errors exceeds lambda standard deviations, but for ALPHA.

    Union bound over two-sided tails, `2 n exp(-lambda^2 / 2) = ALPHA` (Higham and Mary, SIAM J.
    Sci. Comput. 41(5), 2019, theorem 2.4, uses the same form). A rounding error is uniform in +-u
    and therefore strictly sub-Gaussian with variance u^2 / 3, so this is a tail bound, not a rule
    of thumb.
    """
    return math.sqrt(2.0 * math.log(2.0 * max(events, 1) / ALPHA))


@dataclass(frozen=True)
class Arithmetic:
    """One kind of inner arithmetic.

    Args:
        name: For people.
        inner: Products that the hardware adds in one step; 1 for a chain of float32 FMAs.
        truncates: The step's result is truncated, not rounded.
        operand: Relative rounding of every product from rounding its operands (TF32); 0 for none.
        exp: Relative error of one exponential.
        tanh: Relative error of the hyperbolic tangent.
    """

    name: str
    inner: int = 1
    truncates: bool = False
    operand: float = 0.0
    exp: float = 2.0**-22
    tanh: float = 2.0**-21

    def roundings(self, n: int) -> float:
        """How often a sum of n products is rounded or cut: n in a chain of FMAs.

        A step of b products aligns them to the largest addend and cuts each (n cuts in all), then cuts
        the running sum (n / b).
        """
        return n * (1.0 + 1.0 / self.inner) if self.truncates else float(n)

    def spread(self, n: int, confidence: float) -> float:
        """Error of a sum of n products over the sum of their magnitudes, without preferred sign.

        `lambda sqrt(r) u` for r roundings in any order (Higham and Mary 2019), never above the
        deterministic `r u`. A cut is uniform in [0, 2u): u in the mean, which is `drift`, and within
        +-u around it, like a rounding.
        """
        r = max(self.roundings(n), 1.0)
        return min(confidence * math.sqrt(r), r) * U32 + self.operand

    def drift(self, n: int) -> float:
        """Mean error of a sum of n products over the size of its running sum: what cutting takes away.

        Cuts are towards zero, so they add up where the products have one sign.
        """
        return self.roundings(n) * U32 if self.truncates else 0.0

    def exponential(self, n: int) -> float:
        """Relative error of a probability from exponentials: its own and the rescalings after it.

        An online softmax multiplies by exp(old - new max) when a tile of keys raises the maximum:
        among T exchangeable tiles 1 + 1/2 + ... + 1/T times in the mean, the first of which is
        free. T counts tiles of 64 keys, the smallest in use (where logits keep rising instead, what
        was rescaled often has no weight left).
        """
        tiles = max(1, -(-n // 64))
        return self.exp * (1.0 if tiles == 1 else math.log(tiles) + 0.5772 + 0.5 / tiles)


IEEE = Arithmetic("float32")
"""float32 FMAs or rounded additions in any order; expf and tanhf within 2 ulp = 2^-22 (CUDA C
Programming Guide, "Mathematical Functions"; Sleef, which torch uses on CPUs, is within 1 ulp)."""

TENSOR_CORE = Arithmetic("tensor core", 4, True, 0.0, 2.0**-13, 2.0**-11)
"""Tensor cores add 4 (V100, T4), 8 (A100) or 16 (H100) products in one step, aligned to the largest and
cut without rounding; newer ones keep extra bits while they align (Fasi, Higham, Mikaitis, Pranesh,
PeerJ CS 7:e330, 2021; Khattak and Mikaitis, arXiv:2512.07004). Steps of 4 without extra bits cut most
often and so cover all of them.

The exponential may be a cubic polynomial: Chebyshev interpolation of 2^x on [0, 1] errs by
2 sqrt(2) (ln 2 / 4)^4 / 4! = 1.06e-4 < 2^-13 (flash-attn 4's emulated exp2 and torch's `fexp_u20` for
16-bit types on CPUs, measured at 1.07e-4, are such). The tanh may be `tanh.approx.f32`, 2^-11 (PTX
ISA)."""

TENSOR_CORE_32 = Arithmetic("tensor core, float32", 4, True)
"""float32 inputs split into parts (3xTF32): products are exact to float32's roundoff, accumulation
truncates; the exponential is `ex2.approx`, 2^-22 (PTX ISA), as a 16-bit polynomial would show."""

TF32 = Arithmetic("TF32", 4, True, 2.0 * 2.0**-10, 2.0**-22, 2.0**-11)
"""Operands keep 10 bits after the point; hardware handed float32 bits cuts them off, 2^-10 each."""


def kinds(dtype: str) -> tuple[Arithmetic, ...]:
    """The arithmetics that contracts for inputs of this dtype are made of, tightest first."""
    return (IEEE, TENSOR_CORE_32, TF32) if dtype == "float32" else (IEEE, TENSOR_CORE)
