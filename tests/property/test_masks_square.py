"""The square on drawn bands, alignments, shapes and lengths."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attnprobe.core.case import Lengths
from attnprobe.core.mask import Align, Mask
from attnprobe.masks.sliding_window import sliding_window
from tests.contract import square

WAYS = sorted(set(square.ways()) - {"flex", "mha", "njt"})  # those run in the contract test: slow
sides = st.one_of(st.none(), st.integers(0, 6))
aligns = st.sampled_from(["top-left", "bottom-right"])


@st.composite
def bands(draw: st.DrawFn) -> Mask:
    """A window of any sides, one of them maybe negative."""
    align: Align = draw(aligns)
    left = draw(sides)
    right = draw(sides if left is None else st.one_of(st.none(), st.integers(-left, 6)))
    return sliding_window(left, right, align)


@st.composite
def shapes(draw: st.DrawFn) -> square.Shape:
    """Full, padded, packed or slotted sequences of 1 to 7 tokens (0 in packed ones)."""
    storage = draw(st.sampled_from(["full", "padded", "packed", "packed-padded-keys"]))
    least = 0 if storage == "packed" else 1
    count = draw(st.integers(1, 3))
    q = draw(st.lists(st.integers(least, 7), min_size=count, max_size=count))
    kv = draw(st.lists(st.integers(least, 7), min_size=count, max_size=count))
    Mq, Mkv = max(*q, 1), max(*kv, 1) + draw(st.integers(0, 2))
    if storage == "full":
        return square.Shape(Mq, Mkv, None, count)
    tail = draw(st.integers(0, 2)) if storage == "packed" else 0
    lengths = Lengths(tuple(q), tuple(kv), storage, tail)  # type: ignore[arg-type]  # a literal
    return square.Shape(Mq, Mkv, lengths, count)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(bands(), shapes())
def test_the_square_commutes_for_any_band(mask: Mask, shape: square.Shape) -> None:
    """No lowering disagrees with the definition, whatever the window and the lengths."""
    if shape.lengths and (sum(shape.lengths.q) == 0 or sum(shape.lengths.kv) == 0):
        return  # a row of no tokens at all is no attention call
    wrong = [square.compare(way, mask, shape) for way in WAYS]
    assert "\n".join(filter(None, wrong)) == ""
