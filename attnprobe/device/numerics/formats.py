"""Floating-point formats as error analysis sees them."""

from __future__ import annotations

from dataclasses import dataclass

from attnprobe.errors import UsageError


@dataclass(frozen=True)
class Format:
    """A storage format: rounding x changes it by at most `u * |x| + eta`.

    Args:
        name: torch's name of the dtype.
        u: Unit roundoff of round-to-nearest, 2^-p for a significand of p bits.
        eta: Half the smallest subnormal; the smallest normal where kernels may flush to zero.
        largest: Largest finite value.
    """

    name: str
    u: float
    eta: float
    largest: float

    @property
    def floor(self) -> float:
        """Eta / u: below this magnitude the absolute error eta, not u, decides."""
        return self.eta / self.u


FLUSH = 2.0**-126
"""Smallest normal float32: `ex2.approx.ftz` and flush-to-zero modes lose everything below it."""

_FORMATS = {
    # IEEE 754-2019, table 3.5 (binary32, binary16); bfloat16 has binary32's range. float16 kernels keep
    # subnormals (CUDA C Programming Guide, "Half Precision"), the others may run with flush-to-zero.
    "float32": Format("float32", 2.0**-24, FLUSH, 3.4028234663852886e38),
    "float16": Format("float16", 2.0**-11, 2.0**-25, 65504.0),
    "bfloat16": Format("bfloat16", 2.0**-8, FLUSH, 3.3895313892515355e38),
}


def of(dtype: str) -> Format:
    """The format of a case's dtype.

    Raises:
        UsageError: A dtype for which no contract exists (float64 is the reference itself).
    """
    if dtype not in _FORMATS:
        raise UsageError(f"there is no numerics contract for {dtype}", fix=", ".join(_FORMATS))
    return _FORMATS[dtype]
