"""What a class of kernels may round: a contract instead of a global tolerance.

A contract names what is stored in the inputs' format on the way; everything else is float32
arithmetic. Its constants are formats' unit roundoffs and published error bounds of instructions,
none is fitted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from attnprobe.core.case import Case
from attnprobe.device.numerics import formats
from attnprobe.device.numerics.arithmetic import (
    IEEE,
    TENSOR_CORE,
    TENSOR_CORE_32,
    TF32,
    Arithmetic,
)
from attnprobe.device.numerics.formats import Format
from attnprobe.device.reference import chunked
from attnprobe.errors import UsageError

Stores = Literal["nothing", "P and dS", "P and dS from it", "everything", "sums too"]


@dataclass(frozen=True)
class Contract:
    """What a backend is allowed to round.

    Args:
        name: As in reports.
        form: Format of inputs and outputs.
        arithmetic: How it adds and exponentiates.
        stores: What is rounded to `form` on the way. `P and dS`: P before P v and P^T dout, dS
            before its two products, D = rowsum(dout * out) from the rounded out. `P and dS from
            it`: dS is made from that rounded P and scaled before it is rounded. `everything`:
            scaled q, S, P, dP and dS as tensors, D from stored P and dP. `sums too`: besides, the
            difference to the row maximum, row sums, partial outputs, dout over the row sum and D
            from stored products of dout and out.
        normalised: P is rounded after the division by its sum, not before.
        outputs: Roundings of an output in a row.
        accumulator_tiles: Queries and keys per addition when gradients accumulate in `form`: a
            function of (Mq, Mkv) that returns the tile lengths; None when they accumulate in
            float32.
    """

    name: str
    form: Format
    arithmetic: Arithmetic
    stores: Stores
    normalised: bool = False
    outputs: int = 1
    accumulator_tiles: Callable[[int, int], tuple[int, int]] | None = None

    def additions(self, quantity: str, case: Case) -> int:
        """How often an accumulator is rounded to `form` before the last time.

        Partial outputs, where they are stored: as products, scaled to one maximum, and as their sum.
        """
        if self.accumulator_tiles is None or (quantity == "out" and self.stores != "sums too"):
            return 0
        queries, keys = self.accumulator_tiles(case.Mq, case.Mkv)
        length, tile = (case.Mkv, keys) if quantity in ("out", "dq") else (case.Mq, queries)
        if quantity == "out":
            return 3 if length > tile else 0
        return max(0, -(-length // tile) - 1)


def _cpu_tiles(Mq: int, Mkv: int) -> tuple[int, int]:
    """Tile lengths of torch's CPU flash kernel.

    Source: torch@2.13:aten/src/ATen/native/cpu/FlashAttentionKernel.cpp.
    Queries go in tiles of 256 from 768 on, 64 from 192 on, else 32; keys in tiles of 512. Its
    backward adds every tile's product to dq, dk and dv with a gemm whose beta is 1, in the tensors'
    own format.
    """
    return (256 if Mq >= 768 else 64 if Mq >= 192 else 32), 512


def _fp32_internal(form: Format) -> Contract:
    """Only the result is rounded: SDPA's math path since torch 2.5, which upcasts 16-bit inputs."""
    return Contract("fp32-internal", form, IEEE, "nothing")


def _flex_eager(form: Format) -> Contract:
    """S in float32, normalised P rounded.

    Source: torch@2.13:torch/_higher_order_ops/flex_attention.py, sdpa_dense; its backward rounds P
        and
    dS and takes D from the rounded output, as fused kernels do.
    """
    return Contract("flex_eager", form, IEEE, "P and dS", normalised=True)


def _fused(form: Format) -> Contract:
    """FlashAttention-2 (arXiv:2307.08691, algorithms 1 and 2) in float32 arithmetic."""
    return Contract("fused", form, IEEE, "P and dS")


def _fused_tc(form: Format) -> Contract:
    """The same on tensor cores, polynomial exponentials allowed: flash-attn 3, 4, cutlass, Triton."""
    kind = TENSOR_CORE_32 if form.name == "float32" else TENSOR_CORE
    return Contract("fused_tc", form, kind, "P and dS")


def _mem_efficient(form: Format) -> Contract:
    """CUTLASS's fused attention, in torch as the memory-efficient kernel and in xFormers.

    Source: torch@2.13:include/ATen/native/transformers/cuda/mem_eff_attention/kernel_backward.h. P lies
    in shared memory in the inputs' format (`accumApplyLSEToSmem`), `(dP - D) * P` reads it from there,
    and the product is multiplied by the scale before it is rounded. In bfloat16 that is one more
    rounding of the same relative size. In float16 small P are subnormal, so dS inherits
    `2^-25 |dP - D|`, and `scale * dS` underflows 1 / scale times sooner: why this kernel meets
    `fused_tc` in bfloat16 but not always in float16. Simulated in this order, with large logits, a sink
    or outliers, it reaches 2.4 and 1.8 times what `fused` and `fused_tc` allow in float16 (2.3 and 2.0
    were measured on an H200); in bfloat16 it exceeds `fused` only where nearly equal P round alike.
    Deciding evidence: with dout times 2^8 the part of `scale * dS` vanishes, that of P stays.
    """
    kind = TENSOR_CORE_32 if form.name == "float32" else TENSOR_CORE
    return Contract("mem_efficient", form, kind, "P and dS from it")


def _cpu_flash(form: Format) -> Contract:
    """Torch's CPU flash: a polynomial exponential for 16-bit types, gradients accumulated in them."""
    kind = IEEE if form.name == "float32" else TENSOR_CORE
    return Contract("cpu_flash", form, kind, "P and dS", accumulator_tiles=_cpu_tiles)


def _unfused(form: Format) -> Contract:
    """Plain `softmax(q k^T) v` in the inputs' format: nn.MultiheadAttention with weights, model code.

    Outputs are rounded twice: attention's own product and the step behind it (a projection, a
    transpose into another buffer, an expanded bias's sum).
    """
    kind = TENSOR_CORE_32 if form.name == "float32" else TENSOR_CORE
    return Contract("unfused", form, kind, "everything", normalised=True, outputs=2)


def _chunked(form: Format) -> Contract:
    """Chunks of 512 queries and 1024 keys whose sums are stored: `reference.chunked` derives it.

    In float32 it is plain attention. In 16 bits dq may be many times coarser than `unfused` allows where
    mean key and D are not zero, for D is stored and its rounding no longer averages over elements.
    """
    kind = TENSOR_CORE_32 if form.name == "float32" else TENSOR_CORE
    tiles = (chunked.QUERIES, chunked.KEYS)
    return Contract(
        "chunked", form, kind, "sums too", outputs=2, accumulator_tiles=lambda Mq, Mkv: tiles
    )


def _tf32(form: Format) -> Contract:
    """float32 inputs multiplied in TF32; 16-bit inputs are exact in it, so there it equals fused_tc."""
    kind = TF32 if form.name == "float32" else TENSOR_CORE
    return Contract("tf32", form, kind, "P and dS")


_LADDER: dict[str, Callable[[Format], Contract]] = {
    "fp32-internal": _fp32_internal,
    "fused": _fused,
    "flex_eager": _flex_eager,
    "fused_tc": _fused_tc,
    "mem_efficient": _mem_efficient,
    "cpu_flash": _cpu_flash,
    "unfused": _unfused,
    "chunked": _chunked,
    "tf32": _tf32,
}


def names() -> tuple[str, ...]:
    """All contracts, tightest first: the rungs of the ladder."""
    return tuple(_LADDER)


def get(name: str, dtype: str) -> Contract:
    """The contract for inputs of this dtype.

    Args:
        name: One of `names()`.
        dtype: float32, float16 or bfloat16.

    Raises:
        UsageError: No such contract, or none for this dtype.
    """
    if name not in _LADDER:
        raise UsageError(f"unknown numerics contract {name!r}", fix=f"one of {', '.join(_LADDER)}")
    return _LADDER[name](formats.of(dtype))
