"""What a captured mask means for a case: a Mask, lengths, a bias, and how it is passed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from attnprobe.capture.replay.shapes import Dims
from attnprobe.core.capture import Call, CapturedMask
from attnprobe.core.case import Lengths
from attnprobe.core.mask import NONE, Align, Mask
from attnprobe.core.score import Bias
from attnprobe.masks.arbitrary import arbitrary
from attnprobe.masks.block_diagonal import block_diagonal
from attnprobe.masks.causal import causal

BOTTOM_RIGHT = ("flash-attn-2", "flash-attn-3", "flash-attn-4", "varlen")
"""APIs whose causal flag starts in the bottom right corner (flash-attn from 2.1 on; its README)."""


LEFT = "padding on the left is replayed on the right"


@dataclass(frozen=True)
class Pairs:
    """What is attended, and what is added.

    Args:
        mask: The pairs, within each sequence.
        lengths: The sequences.
        bias: The added tensor.
        alibi: Whether ALiBi with its usual slopes is added.
        form: How the mask is passed.
        unsaid: What this leaves out.
    """

    mask: Mask = NONE
    lengths: Lengths | None = None
    bias: Bias | None = None
    alibi: bool = False
    form: str = "best"
    unsaid: tuple[str, ...] = field(default=())


def pairs(call: Call, dims: Dims) -> Pairs:
    """What the mask of a captured call is in a case of these sizes."""
    seen = call.mask
    if seen is None:
        found = Pairs(lengths=dims.lengths)
        if call.is_causal:
            corner: Align = "bottom-right" if call.api in BOTTOM_RIGHT else "top-left"
            found = replace(found, mask=causal(corner))
        return found
    if seen.kind == "unknown":
        return Pairs(lengths=dims.lengths, unsaid=(f"its mask: {seen.note}", "no mask is replayed"))
    found = _attended(seen, dims)
    bias = _added(seen, call, dims)
    form = _form(seen)
    unsaid = [*found.unsaid]
    alibi = seen.values == "alibi" and bias is None
    if seen.forbidding and seen.forbidding[0] != -math.inf and seen.empty_rows:
        unsaid.append("rows without keys attend all alike where a finite value forbids")
    if bias is not None and found.lengths is not None and found.lengths.storage != "padded":
        bias = None
        unsaid.append("the bias of packed sequences is left out")
    if bias is not None and found.bias is not None:
        unsaid.append("what its values are is left out: a mask without structure has none")
        bias = None
    return replace(found, bias=bias or found.bias, alibi=alibi, form=form, unsaid=tuple(unsaid))


def _form(seen: CapturedMask) -> str:
    if seen.form == "bool":
        return "dense-bool"
    return "dense-float" if seen.form in _FLOATS else "best"


_FLOATS = ("float64", "float32", "float16", "bfloat16")


def _attended(seen: CapturedMask, dims: Dims) -> Pairs:
    """Mask and lengths, or what stands for them."""
    if seen.kind == "empty":
        return Pairs(
            lengths=Lengths((dims.Mq,) * dims.B, (0,) * dims.B, "padded"),
        )
    if seen.documents:
        return _documents(seen, dims)
    if seen.mask is None:
        return _without_word(seen, dims)
    if not seen.lengths and not seen.queries:
        return Pairs(seen.mask, dims.lengths)
    unsaid = []
    if len(seen.lengths) >= _KEPT:
        unsaid.append(f"the first {_KEPT} lengths are repeated")
    if seen.padding_left or seen.queries_before:
        unsaid.append(LEFT)
    if seen.holes:
        unsaid.append("padding with holes is replayed in one piece")
    q = _repeated(seen.queries, dims.B, dims.Mq)
    kv = _repeated(seen.lengths, dims.B, dims.Mkv)
    return Pairs(seen.mask, Lengths(q, kv), unsaid=tuple(unsaid))


_KEPT = 512
"""Lengths that a capture keeps of a mask (core/capture.py)."""


def _repeated(values: Sequence[int], B: int, default: int) -> tuple[int, ...]:
    return tuple(values[b % len(values)] if values else default for b in range(B))


def _documents(seen: CapturedMask, dims: Dims) -> Pairs:
    """One row of documents is packed sequences; of several rows, blocks of the mean size."""
    mask = seen.mask or NONE
    rows = seen.documents
    if dims.B == 1:
        q, kv = (tuple(document[side] for document in rows[0]) for side in (1, 3))
        tails = dims.Mq - sum(q), dims.Mkv - sum(kv)
        if tails[0] == tails[1] >= 0:
            return Pairs(mask, Lengths(q, kv, "packed", tails[0]))
        return Pairs(mask, Lengths(q, kv, "packed"), unsaid=("tokens of no document are left out",))
    sizes = [document[3] for row in rows for document in row]
    size = max(1, round(sum(sizes) / len(sizes)))
    try:
        blocks = mask & block_diagonal(size, mask.align)
    except ValueError:
        blocks = block_diagonal(size, "top-left")
    said = (
        f"rows of documents of {min(sizes)} to {max(sizes)} keys are replayed as blocks of {size}"
    )
    return Pairs(blocks, unsaid=(said,))


def _without_word(seen: CapturedMask, dims: Dims) -> Pairs:
    """Random pairs: as many of them where all planes are alike, else half of them."""
    kept = 1 - (seen.fraction_masked or 0.0)
    what = f"a mask that has no word ({seen.kind}, {kept:.0%} allowed)"
    if seen.form in _FLOATS and (seen.values or seen.requires_grad):
        return Pairs(
            lengths=dims.lengths, unsaid=(f"of {what} the added values are replayed alone",)
        )
    bias = Bias.parse(seen.broadcast or "1,1,M,N", forbids=True)
    if not (bias.B or bias.H):
        mask = arbitrary(0, round(100 * kept))
        return Pairs(mask, dims.lengths, unsaid=(f"{what} is replayed by random pairs",))
    return Pairs(
        lengths=dims.lengths,
        bias=bias,
        unsaid=(f"{what} is replayed by half of the pairs at random",),
    )


def _added(seen: CapturedMask, call: Call, dims: Dims) -> Bias | None:
    """The added tensor, unless it adds nothing, or ALiBi as a case knows it."""
    if seen.values == "alibi" and _usual(seen, dims):
        return None
    if not seen.values and not seen.requires_grad:
        return None
    differ = (seen.values_dims if seen.values and seen.mask else "") or seen.broadcast
    return Bias.parse(
        differ or "1,1,M,N",
        requires_grad=seen.requires_grad,
        dtype=seen.form if seen.form in _FLOATS and seen.form != call.q.dtype else None,
    )


def _usual(seen: CapturedMask, dims: Dims) -> bool:
    """Whether slopes are those of Score.alibi, counted from the same corner."""
    usual = slopes(dims.Hq)
    alike = len(seen.slopes) == len(usual) and all(
        math.isclose(a, b, rel_tol=2**-7) for a, b in zip(seen.slopes, usual, strict=True)
    )
    by_key = seen.values_dims.split(",")[2:3] == ["1"]
    backwards = seen.mask is not None and seen.mask.right is not None and seen.mask.right <= 0
    corner = by_key or dims.Mq == dims.Mkv or "top-left" not in seen.note
    return alike and corner and (backwards or not by_key) and not seen.requires_grad


def slopes(Hq: int) -> tuple[float, ...]:
    """The slopes of Score.alibi, per head: device/alibi.py, without torch."""
    n = 2 ** math.floor(math.log2(Hq))

    def of(heads: int) -> list[float]:
        return [2.0 ** (-8.0 * (h + 1) / heads) for h in range(heads)]

    return (*of(n), *of(2 * n)[0::2][: Hq - n])
