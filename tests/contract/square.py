"""The square that must commute: every lowering, read back by the library itself, equals `Mask.allows`.

`oracle` evaluates the definition pair by pair in Python integers. A reader turns a lowering's arguments
into the pairs that the library attends: with the library's own materialiser, by running it on the CPU
with zero queries and one-hot values, or by its documentation where it needs a GPU.

Run as a program, `python -m tests.contract.square` prints the golden table (square.txt).
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial

import torch
from torch import Tensor

from attnprobe import masks
from attnprobe.core.case import Case, Lengths
from attnprobe.core.mask import Mask
from attnprobe.device import inputs as recipe
from attnprobe.device.inputs import Inputs
from attnprobe.device.lowering import (
    dense,
    flash,
    flex,
    lucidrains,
    mha,
    njt,
    sdpa,
    varlen,
    xformers,
)
from attnprobe.device.lowering.base import Lowered, Refusal
from tests.contract import readers

logging.getLogger("xformers").setLevel(logging.ERROR)  # it warns on import that it has no CUDA
warnings.filterwarnings("ignore", message="Lower right causal bias will produce NaNs")

MASKS = (
    "none",
    "causal(align=top-left)",
    "causal(align=bottom-right)",
    "sliding-window(left=2, right=0, align=top-left)",
    "sliding-window(left=2, right=0, align=bottom-right)",
    "sliding-window(left=1, right=2, align=top-left)",
    "sliding-window(left=1, right=2, align=bottom-right)",
    "sliding-window(left=none, right=1, align=bottom-right)",
    "sliding-window(left=1, right=none, align=top-left)",
    "sliding-window(left=-1, right=3, align=bottom-right)",
    "prefix-lm(prefix=2, align=top-left)",
    "prefix-lm(prefix=3, align=bottom-right)",
    "dilated(step=2, align=bottom-right)",
    "causal(align=top-left) & dilated(step=3, align=top-left)",
    "block-diagonal(size=3, align=top-left)",
    "chunked(size=2, align=bottom-right)",
    "sinks(count=1, left=1, align=bottom-right)",
    "arbitrary(seed=5, percent=40)",
)


@dataclass(frozen=True)
class Shape:
    """Lengths of the sequences of a case."""

    Mq: int
    Mkv: int
    lengths: Lengths | None = None
    B: int = 2


def _several(storage: str, q: tuple[int, ...], kv: tuple[int, ...], Mkv: int = 0, tail: int = 0):
    lengths = Lengths(q, kv, storage, tail)  # type: ignore[arg-type]  # a literal
    return Shape(max(q), Mkv or max(kv), lengths, len(q))


SHAPES = {
    "4x4": Shape(4, 4),
    "2x5": Shape(2, 5),
    "5x2": Shape(5, 2),
    "1x7": Shape(1, 7),
    "7x1": Shape(7, 1),
    "17x33": Shape(17, 33),
    "32x16": Shape(32, 16, B=1),
    "key padding 4x6": Shape(4, 6, Lengths((4, 4), (6, 3))),
    "key padding 5x5": Shape(5, 5, Lengths((5, 5), (5, 2))),
    "lengths 5x6": Shape(5, 6, Lengths((5, 2), (3, 6))),
    "packed": _several("packed", (3, 1, 4), (3, 1, 4)),
    "packed tail": _several("packed", (3, 4), (3, 4), tail=2),
    "packed wider": _several("packed", (2, 1, 3), (4, 1, 6)),
    "packed narrower": _several("packed", (4, 2), (2, 2)),
    "packed shift 2": _several("packed", (2, 4), (4, 6)),
    "packed empty": _several("packed", (3, 0, 2), (3, 0, 2)),
    "padded keys": _several("packed-padded-keys", (2, 1), (4, 3), Mkv=6),
    "padded keys square": _several("packed-padded-keys", (4, 2), (4, 2), Mkv=4),
}


def make(mask: Mask, s: Shape, **changes: object) -> Case:
    """A small float32 case without gradients: Hq 4, Hkv 2."""
    base = Case(
        B=s.B, Hq=4, Hkv=2, Mq=s.Mq, Mkv=s.Mkv, K=8, Kv=8, dtype="float32", passes="fwd",
        mask=mask, lengths=s.lengths,
    )  # fmt: skip
    return base.edit(**changes)


def case_of(mask: str, shape: str, **changes: object) -> Case:
    """A case of the tables above."""
    return make(masks.parse(mask), SHAPES[shape], **changes)


@cache
def oracle(case: Case) -> Tensor:
    """(Bc, 1, Tq, Tkv): the definition, pair by pair, in Python integers."""
    full = torch.zeros(case.q_shape[0], 1, case.q_shape[2], case.k_shape[2], dtype=torch.bool)
    for s in case.sequences:
        for i in range(s.Mq):
            for j in range(s.Mkv):
                allowed = bool(case.mask.allows(i, j, s.Mq, s.Mkv))
                full[s.batch, 0, s.q_start + i, s.kv_start + j] = allowed
    return full


@dataclass(frozen=True)
class Way:
    """A lowering and how its arguments are read.

    Args:
        lower: The lowering, flavour chosen.
        read: Arguments to the pairs attended, (Bc, 1 or H, Tq, Tkv).
        edit: Changes to the case that the flavour needs.
        empty_rows: Whether rows without keys can be read (some libraries return the mean of V).
    """

    lower: Callable[[Inputs], Lowered | Refusal]
    read: Callable[[Case, Lowered], Tensor]
    edit: tuple[tuple[str, object], ...] = ()
    empty_rows: bool = True


def ways() -> dict[str, Way]:
    """Looked up anew at each call, so that a planted error in a module is used."""
    one_head = (("Hkv", 4),)
    return {
        "dense": Way(dense.lower, readers.tensor),
        "dense-bool": Way(dense.lower, readers.tensor, (("mask_form", "dense-bool"),)),
        "dense-float": Way(dense.lower, readers.tensor, (("mask_form", "dense-float"),)),
        "sdpa": Way(sdpa.lower, readers.sdpa),
        "sdpa-causal-bias": Way(partial(sdpa.lower, causal_bias=True), readers.sdpa),
        "flex": Way(partial(flex.lower, block_size=4), readers.flex),
        "xformers": Way(xformers.lower, readers.xformers),
        "xformers-float": Way(xformers.lower, readers.xformers, (("mask_form", "dense-float"),)),
        "xformers-gappy": Way(partial(xformers.lower, keys="gappy"), readers.xformers),
        "xformers-paged": Way(partial(xformers.lower, keys="paged", page_size=2), readers.xformers),
        "xformers-paged-gappy": Way(
            partial(xformers.lower, keys="paged-gappy", page_size=2), readers.xformers
        ),
        "flash-2": Way(partial(flash.lower, version=2), readers.flash),
        "flash-3": Way(partial(flash.lower, version=3), readers.flash),
        "flash-4": Way(partial(flash.lower, version=4), readers.flash),
        "varlen": Way(varlen.lower, readers.varlen),
        "varlen-2.10": Way(
            partial(varlen.lower, function=readers.varlen_2_10), readers.varlen, one_head
        ),
        "njt": Way(njt.lower, readers.njt),
        "mha": Way(mha.lower, readers.mha, one_head),
        "lucidrains": Way(lucidrains.lower, readers.lucidrains, one_head, empty_rows=False),
        "lucidrains-whole": Way(
            partial(lucidrains.lower, causal="bottom-right"),
            readers.lucidrains_whole,
            one_head,
            empty_rows=False,
        ),
    }


def lowered(name: str, case: Case) -> Lowered | Refusal:
    """What a way makes of a case."""
    way = ways()[name]
    return way.lower(recipe.make(case.edit(**dict(way.edit))))


def compare(name: str, mask: Mask, shape: Shape) -> str:
    """Empty when the lowering is refused or says what the mask says; else both pictures."""
    way = ways()[name]
    case = make(mask, shape).edit(**dict(way.edit))
    said = lowered(name, case)
    if isinstance(said, Refusal):
        return ""
    wanted, found = oracle(case), way.read(case, said)
    if not way.empty_rows:
        rows = wanted.any(-1, keepdim=True)
        wanted, found = wanted & rows, found & rows
    if torch.equal(wanted.expand_as(found), found):
        return ""
    pictures = f"wanted\n{wanted.int()}\nfound\n{found[:, :1].int()}"
    return f"{name} of {mask.text} on {shape} ({said.form})\n{pictures}"


def disagreement(name: str, mask: str, shape: str) -> str:
    """`compare` for an entry of the tables above."""
    return compare(name, masks.parse(mask), SHAPES[shape])


def combinations() -> Iterator[tuple[str, str]]:
    """Every mask on every shape."""
    return ((mask, shape) for mask in MASKS for shape in SHAPES)


def table() -> str:
    """A line per way and mask, a letter per shape: - refused, n no mask, d dense, s structured."""
    lines = [f"shapes: {', '.join(SHAPES)}"]
    for name in ways():
        for mask in MASKS:
            letters = (_letter(lowered(name, case_of(mask, shape))) for shape in SHAPES)
            lines.append(f"{name:20} {''.join(letters)} {mask}")
    return "\n".join(lines) + "\n"


def _letter(said: Lowered | Refusal) -> str:
    if isinstance(said, Refusal):
        return "-"
    return "n" if said.form == "no mask" else "d" if said.form.startswith("dense") else "s"


if __name__ == "__main__":
    print(table(), end="")
