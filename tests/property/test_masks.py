"""Masks of any parameters: text round-trips, tensors agree with ints, `&` is intersection."""

import contextlib

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attnprobe import masks
from attnprobe.core.mask import Align, Mask
from attnprobe.errors import UsageError
from attnprobe.masks.arbitrary import arbitrary
from attnprobe.masks.block_diagonal import block_diagonal
from attnprobe.masks.causal import causal
from attnprobe.masks.chunked import chunked
from attnprobe.masks.dilated import dilated
from attnprobe.masks.none import none
from attnprobe.masks.prefix_lm import prefix_lm
from attnprobe.masks.sinks import sinks
from attnprobe.masks.sliding_window import sliding_window

aligns = st.sampled_from(["top-left", "bottom-right"])
sides = st.one_of(st.none(), st.integers(0, 9))
lengths = st.integers(1, 9)


def families(align: Align) -> st.SearchStrategy[Mask]:
    """A mask of any family with this alignment."""
    fixed = st.just(align)
    small = st.integers(1, 6)
    return st.one_of(
        st.builds(none),
        st.builds(causal, fixed),
        st.builds(sliding_window, sides, sides, fixed),
        st.builds(prefix_lm, st.integers(0, 9), fixed),
        st.builds(dilated, small, fixed),
        st.builds(block_diagonal, small, fixed),
        st.builds(chunked, small, fixed),
        st.builds(sinks, st.integers(0, 4), st.integers(0, 4), fixed),
        st.builds(arbitrary, st.integers(0, 2**31 - 1), st.integers(0, 100)),
    )


def combined(align: Align) -> st.SearchStrategy[Mask]:
    """One to three families joined by `&`."""
    joined = st.lists(families(align), min_size=1, max_size=3)
    return joined.map(lambda found: _joined(found))


def _joined(found: list[Mask]) -> Mask:
    whole = found[0]
    for mask in found[1:]:
        whole = whole & mask
    return whole


any_mask = aligns.flatmap(combined)


def test_every_family_is_drawn_here() -> None:
    """A new family must be added to these properties."""
    drawn = {none, causal, sliding_window, prefix_lm, dilated, block_diagonal, chunked, sinks}
    drawn.add(arbitrary)
    assert {make.__name__.replace("_", "-") for make in drawn} == set(masks.names())


@settings(deadline=None)
@given(any_mask)
def test_text_reads_back_as_the_same_mask(mask: Mask) -> None:
    """`parse` is the inverse of `Mask.text`."""
    assert masks.parse(mask.text) == mask


@settings(deadline=None)
@given(any_mask, lengths, lengths)
def test_tensors_say_what_ints_say(mask: Mask, Mq: int, Mkv: int) -> None:
    """Broadcast int64 and int32 tensors give the booleans that Python ints give."""
    wanted = [[bool(mask.allows(i, j, Mq, Mkv)) for j in range(Mkv)] for i in range(Mq)]
    for dtype in (torch.int64, torch.int32):
        i, j = torch.arange(Mq, dtype=dtype)[:, None], torch.arange(Mkv, dtype=dtype)
        assert mask.allows(i, j, Mq, Mkv).tolist() == wanted


@settings(max_examples=25, deadline=None)
@given(any_mask, lengths, lengths)
def test_vmap_says_what_ints_say(mask: Mask, Mq: int, Mkv: int) -> None:
    """Under vmap, as flex calls a mask_mod, with int32 scalars."""
    over_j = torch.vmap(lambda i, j: mask.allows(i, j, Mq, Mkv), in_dims=(None, 0))
    over_both = torch.vmap(over_j, in_dims=(0, None))
    i, j = torch.arange(Mq, dtype=torch.int32), torch.arange(Mkv, dtype=torch.int32)
    wanted = [[bool(mask.allows(a, b, Mq, Mkv)) for b in range(Mkv)] for a in range(Mq)]
    assert over_both(i, j).tolist() == wanted


@settings(deadline=None)
@given(aligns.flatmap(lambda a: st.tuples(families(a), families(a))), lengths, lengths)
def test_and_is_the_intersection(pair: tuple[Mask, Mask], Mq: int, Mkv: int) -> None:
    """A pair is allowed by `a & b` where both allow it."""
    one, other = pair
    both = one & other
    for i in range(Mq):
        for j in range(Mkv):
            wanted = one.allows(i, j, Mq, Mkv) and other.allows(i, j, Mq, Mkv)
            assert bool(both.allows(i, j, Mq, Mkv)) == bool(wanted)


@settings(deadline=None)
@given(any_mask, lengths)
def test_alignment_is_irrelevant_where_lengths_agree(mask: Mask, M: int) -> None:
    """With Mq = Mkv both corners draw the same picture."""
    other = "bottom-right" if mask.align == "top-left" else "top-left"
    moved = Mask(mask.left, mask.right, other, mask.predicates)  # type: ignore[arg-type]  # literal
    assert mask.picture(M, M) == moved.picture(M, M)


@settings(deadline=None)
@given(sides, sides, aligns, lengths, lengths)
def test_a_band_is_idle_when_the_matrix_is_full(
    left: int | None, right: int | None, align: Align, Mq: int, Mkv: int
) -> None:
    """`is_idle`, which looks at two corners, agrees with all pairs."""
    mask = sliding_window(left, right, align)
    every = all(mask.allows(i, j, Mq, Mkv) for i in range(Mq) for j in range(Mkv))
    assert mask.is_idle(Mq, Mkv) == every


@settings(deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_a_mask_or_a_usage_error(text: str) -> None:
    """Nothing else escapes `parse`."""
    with contextlib.suppress(UsageError):
        assert isinstance(masks.parse(text), Mask)
