"""`--sweep FIELD=VALUES`: what is written, what cases it makes, and what cannot be."""

from __future__ import annotations

import pytest

from attnprobe.core.case import Lengths
from attnprobe.errors import UsageError
from attnprobe.profiling import fields, lengths, sweep, values
from attnprobe.workload import Workload
from tests.profiling.cases import CASE, workload


def spread(*given: str, of: Workload | None = None) -> sweep.Spread:
    return sweep.spread(of or workload(), sweep.axes(given))


def test_a_range_doubles() -> None:
    """From the first value up to the last, which need not be met."""
    assert values.expand("512..5000") == ("512", "1024", "2048", "4096")


def test_a_range_with_a_step_counts() -> None:
    """Both ends are part of it."""
    assert values.expand("512..2048+512") == ("512", "1024", "1536", "2048")


def test_lists_and_ranges_mix() -> None:
    """Every value once; k is 1024; brackets hold commas together."""
    assert values.expand("8,1..8,1k") == ("8", "1", "2", "4", "1024")
    assert values.expand("zipf(1.2, seed=3),full") == ("zipf(1.2, seed=3)", "full")


@pytest.mark.parametrize("text", ["", "8..4", "0..8", "1..8+0", "a..b", "1..1000000+1", ","])
def test_ranges_that_are_none(text: str) -> None:
    """Each is refused in words, none is expanded by guess."""
    with pytest.raises(UsageError):
        values.expand(text)


def test_axes_multiply() -> None:
    """Two fields are a grid over every case."""
    cases = spread("M=128,256", "B=1,2,4").workload.cases
    assert {(case.Mq, case.Mkv, case.B) for case in cases} == {
        (m, m, b) for m in (128, 256) for b in (1, 2, 4)
    }


def test_equal_points_are_one() -> None:
    """A sweep over dtypes of a workload with two dtypes does not time anything twice."""
    both = workload(CASE, CASE.edit(dtype="float32"))
    assert len(spread("dtype=bf16,fp32", of=both).workload.cases) == 2


def test_dimensions_are_set_before_masks_and_lengths() -> None:
    """Whatever the order on the command line: lengths are drawn for the final B and M."""
    (case,) = spread("lengths=half", "M=1024", "B=3").workload.cases
    assert case.lengths == Lengths((512,) * 3, (512,) * 3)


def test_what_is_no_attention_call_is_left_out_and_said() -> None:
    """One point of three; the words name the point and the reason."""
    found = spread("Hkv=2,3,4")
    assert [case.Hkv for case in found.workload.cases] == [2, 4]
    assert found.left_out == ("Hkv=3: Hkv=3 does not divide Hq=8",)


def test_a_sweep_of_nothing_is_refused() -> None:
    """Not one point left."""
    with pytest.raises(UsageError, match="no point"):
        spread("Hkv=3,5")


def test_a_sweep_beyond_all_measure_is_refused_at_once() -> None:
    """The count is said, not built."""
    with pytest.raises(UsageError, match="1,000,000 cases"):
        spread("M=1..1000+1", "B=1..1000+1")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("Foo=1", "no field 'Foo'"),
        ("M", "not FIELD=VALUES"),
        ("K=0", "K=0 is not possible"),
        ("density=101", "density=101"),
        ("dropout_p=1", "dropout_p=1"),
        ("dtype=fp7", "fp7"),
        ("mask=caus", "did you mean causal"),
        ("lengths=zip(1)", "zip"),
        ("lengths=600", "600 is longer than M=512"),
        ("pass=sideways", "sideways"),
        ("softcap=-1", "softcap"),
    ],
)
def test_values_that_a_field_cannot_have(given: str, words: str) -> None:
    """Each is an error of use that names what was given."""
    with pytest.raises(UsageError) as error:
        spread(given)
    assert words in str(error.value)


def test_a_field_given_twice_is_refused() -> None:
    """Which one would count?"""
    with pytest.raises(UsageError, match="twice"):
        sweep.axes(["M=1", "M=2"])


def test_two_masks_at_once_are_refused() -> None:
    """The second would replace the first without a word."""
    with pytest.raises(UsageError, match="whole mask"):
        sweep.axes(["window=16..64", "density=10,50"])


@pytest.mark.parametrize("field", fields.FIELDS)
def test_every_field_can_be_swept(field: str) -> None:
    """Each changes the case, and the result is an attention call."""
    value = _SOME[field]
    edited = fields.edit(CASE, field, value)
    assert edited != CASE
    assert not edited.problems


_SOME = {
    "B": "3",
    "Hq": "4",
    "Hkv": "2",
    "M": "1024",
    "Mq": "1",
    "Mkv": "1024",
    "K": "128",
    "Kv": "32",
    "dtype": "fp16",
    "mask": "causal",
    "window": "128",
    "density": "10",
    "lengths": "uniform",
    "storage": "packed",
    "layout": "BMHK",
    "mask_form": "dense-bool",
    "dropout_p": "0.1",
    "softcap": "50",
    "alibi": "true",
    "family": "uniform",
    "pass": "fwd",
    "seed": "7",
}


def test_a_window_counts_the_diagonal() -> None:
    """window=128 attends 128 keys a row, as model configurations count."""
    mask = fields.edit(CASE, "window", "128").mask
    assert sum(mask.allows(500, j, 512, 512) for j in range(512)) == 128


def test_heads_and_head_dim_stay_what_they_were_to_each_other() -> None:
    """Multi-head stays multi-head, grouped keeps its key heads; Kv follows K where it was K."""
    assert fields.edit(CASE, "Hq", "16").Hkv == 16
    assert fields.edit(CASE.edit(Hkv=2), "Hq", "16").Hkv == 2
    assert fields.edit(CASE, "K", "128").Kv == 128
    assert fields.edit(CASE.edit(Kv=32), "K", "128").Kv == 32


def test_lengths_keep_their_proportion() -> None:
    """A packed batch at twice the length has sequences twice as long."""
    packed = CASE.edit(lengths=Lengths((100, 512), (100, 512), "packed"))
    longer = fields.edit(packed, "M", "1024")
    assert longer.lengths == Lengths((200, 1024), (200, 1024), "packed")


def test_more_sequences_repeat_the_lengths() -> None:
    """B=3 of two lengths takes the first one again."""
    packed = CASE.edit(lengths=Lengths((100, 512), (100, 512), "packed"))
    found = fields.edit(packed, "B", "3").lengths
    assert found is not None
    assert found.q == found.kv == (100, 512, 100)


def test_drawn_lengths_are_within_bounds_and_repeatable() -> None:
    """Zipf and uniform, cut off at the longest; the same text gives the same lengths."""
    for text in ("zipf(1.2)", "uniform", "uniform(8, 64)"):
        drawn = lengths.draw(text, 100, 32, seed=1)
        assert len(drawn) == 100
        assert 1 <= min(drawn) <= max(drawn) <= 32
        assert drawn == lengths.draw(text, 100, 32, seed=1)
