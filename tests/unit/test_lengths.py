"""Drawn lengths: what the distributions promise, the same on every machine."""

from __future__ import annotations

import random
from statistics import mean

import pytest

from attnprobe import lengths
from attnprobe.errors import UsageError


def test_zipf_lengths_are_those_of_drawing_word_by_word():
    """The mean of 4,000 lengths is that of sentences drawn as the tutorial draws them."""
    ranks = range(1, 20_000)
    tail = 20_000**-0.2 / 0.2  # the rest of the infinite sum, none of it a stop
    weights = [rank**-1.2 for rank in ranks]
    numbers = random.Random(1)
    words = numbers.choices([*ranks, 0], [*weights, tail], k=400_000)
    stops = sum(word in lengths.STOPS for word in words)
    drawn = lengths.draw("zipf(1.2, seed=3)", 4000)
    assert mean(drawn) == pytest.approx(len(words) / stops, rel=0.05)
    assert min(drawn) == 1


def test_zipf_lengths_are_spread_as_a_geometric_law_is():
    """Half of them are at most ln 2 / p, and the standard deviation is about the mean."""
    drawn = sorted(lengths.draw("zipf(1.2, seed=4)", 4000))
    assert drawn[2000] == pytest.approx(14.2, abs=1.0)
    spread = mean((n - mean(drawn)) ** 2 for n in drawn) ** 0.5
    assert spread == pytest.approx(mean(drawn), rel=0.08)


def test_the_same_text_gives_the_same_lengths_for_ever():
    """Recorded once: sessions of two machines compare the same sequences."""
    assert lengths.draw("zipf(1.2)", 6) == (38, 29, 12, 7, 15, 11)
    assert lengths.draw("uniform(64, 2048, step=64)", 4) == (1792, 1600, 896, 576)
    assert lengths.draw("documents(64, 2)", 6) == (48, 6, 10, 17, 10, 37)


def test_max_cuts_and_changes_nothing_else():
    """Sentences below the limit stay as they are."""
    free = lengths.draw("zipf(1.2)", 200)
    assert lengths.draw("zipf(1.2, max=20)", 200) == tuple(min(n, 20) for n in free)


def test_uniform_lengths_reach_both_ends_evenly():
    """Every multiple of the step occurs about equally often, and nothing else."""
    drawn = lengths.draw("uniform(10, 50, step=20, seed=1)", 3000)
    counts = [drawn.count(n) for n in (20, 40)]
    assert sum(counts) == 3000
    assert min(counts) > 1350


def test_documents_fill_their_rows_and_none_is_empty():
    """Each row of 3 documents holds 64 tokens."""
    drawn = lengths.draw("documents(tokens=64, cuts=2, seed=9)", 300)
    assert {sum(drawn[i : i + 3]) for i in range(0, 300, 3)} == {64}
    assert min(drawn) >= 1


def test_as_many_cuts_as_there_are_places():
    """Four tokens cut three times are four documents of one token."""
    assert lengths.draw("documents(4, cuts=3)", 4) == (1, 1, 1, 1)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("zipff(1.2)", "did you mean zipf"),
        ("zipf 1.2", "uniform(low, high"),
        ("zipf()", "alpha"),
        ("zipf(1)", "above 1"),
        ("zipf(1.2, max=0)", "at least 1"),
        ("zipf(1.2, seed=1.5)", "integer"),
        ("zipf(1.2, 1, 2, 3)", "too many"),
        ("zipf(1.2, colour=3)", "colour"),
        ("zipf(1.2, count=3)", "count"),
        ("zipf(1.2, seed=one)", "'one' is not a number"),
        ("zipf(seed=1, 1.2)", "too late"),
        ("zipf(1.2, seed=1, seed=2)", "twice"),
        ("uniform(5, 3)", "no multiple"),
        ("uniform(1, 5, step=0)", "at least 1"),
        ("documents(64, cuts=64)", "63 places"),
        ("documents(64, cuts=2)", "8 sequences are no rows of 3"),
    ],
)
def test_what_cannot_be_drawn_is_told(text: str, words: str):
    """Every mistake names what is allowed."""
    with pytest.raises(UsageError) as caught:
        lengths.draw(text, 8)
    assert words in str(caught.value)


def test_batches_are_bounded():
    """A count of billions is refused, not drawn."""
    with pytest.raises(UsageError, match="4096"):
        lengths.draw("zipf(1.2)", 2**31)
