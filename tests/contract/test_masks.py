"""Each mask family is a file with a constructor and pictures; text and mask are each other's inverse."""

import doctest
import importlib
import inspect
from types import ModuleType

import pytest
import torch

from attnprobe import masks
from attnprobe.core.mask import NONE, Mask
from attnprobe.errors import UsageError
from attnprobe.masks.causal import causal
from attnprobe.masks.dilated import dilated
from attnprobe.masks.sliding_window import sliding_window


def module_of(name: str) -> ModuleType:
    return importlib.import_module(f"attnprobe.masks.{name.replace('-', '_')}")


@pytest.mark.parametrize("name", masks.names())
def test_the_pictures_in_a_family_are_true(name: str) -> None:
    """Every family draws itself in its docstring, and the drawing is right."""
    made = doctest.testmod(module_of(name))
    assert made.attempted >= 1
    assert made.failed == 0


@pytest.mark.parametrize("name", masks.names())
def test_a_family_has_a_constructor_that_returns_a_mask(name: str) -> None:
    """The function is named as its file, is documented and says that it returns a Mask."""
    make = masks.constructor(name)
    assert make.__name__ == name.replace("-", "_")
    assert make.__doc__
    assert inspect.signature(make).return_annotation in (Mask, "Mask")


@pytest.mark.parametrize("name", masks.names())
def test_a_constructor_that_takes_align_gives_no_default(name: str) -> None:
    """Libraries disagree on the diagonal's corner, so no family may choose one silently."""
    align = inspect.signature(masks.constructor(name)).parameters.get("align")
    assert align is None or align.default is align.empty


def test_a_band_that_allows_nothing_is_refused() -> None:
    """A window with left + right < 0 leaves no diagonal."""
    with pytest.raises(ValueError, match="allows no key"):
        sliding_window(-2, 1, "top-left")


def test_an_unknown_alignment_is_refused() -> None:
    """Only the two corners exist."""
    with pytest.raises(ValueError, match="top-left or bottom-right"):
        causal("middle")  # type: ignore[arg-type]  # the error under test


def test_masks_of_different_alignment_do_not_combine() -> None:
    """`&` would have to choose one of the two diagonals."""
    with pytest.raises(ValueError, match="alignments differ"):
        causal("top-left") & dilated(2, "bottom-right")


def test_a_mask_without_alignment_combines_with_any() -> None:
    """`arbitrary` looks at no diagonal."""
    both = masks.parse("arbitrary(seed=1, percent=50) & causal(align=bottom-right)")
    assert both.align == "bottom-right"
    assert both == masks.parse("causal(align=bottom-right) & arbitrary(seed=1, percent=50)")


def test_no_mask_is_the_same_whatever_its_alignment() -> None:
    """What does not depend on the alignment is stored without it."""
    assert Mask(None, None, "bottom-right") == NONE


def test_and_takes_the_tighter_side_of_each() -> None:
    """Two windows meet in their intersection."""
    both = sliding_window(5, 1, "top-left") & sliding_window(2, 3, "top-left")
    assert both == sliding_window(2, 1, "top-left")


def test_empty_rows_are_named() -> None:
    """Bottom-right causal with more queries than keys leaves the first queries without a key."""
    assert causal("bottom-right").empty_rows(5, 2) == (0, 1, 2)


@pytest.mark.parametrize(
    ("mask", "Mq", "Mkv", "idle"),
    [
        (causal("bottom-right"), 1, 7, True),
        (causal("bottom-right"), 2, 7, False),
        (causal("top-left"), 7, 1, True),
        (causal("top-left"), 1, 7, False),
        (sliding_window(6, 6, "top-left"), 7, 7, True),
        (sliding_window(6, 5, "top-left"), 7, 7, False),
        (NONE, 3, 4, True),
        (dilated(1, "top-left"), 3, 4, False),
    ],
)
def test_a_band_that_forbids_nothing_knows_it(mask: Mask, Mq: int, Mkv: int, idle: bool) -> None:
    """`is_idle` of a band is what the whole matrix says; predicates are not looked into."""
    assert mask.is_idle(Mq, Mkv) is idle


@pytest.mark.parametrize("dtype", [torch.int32, torch.int64])
def test_arbitrary_is_the_same_in_every_integer_type(dtype: torch.dtype) -> None:
    """Python ints, int32 and int64 agree at 131,072 tokens: nothing overflows."""
    mask = masks.parse("arbitrary(seed=2147483, percent=30)")
    spots = [(i, j) for i in (0, 46_336, 46_337, 131_071) for j in (1, 46_338, 100_003, 131_071)]
    i = torch.tensor([s[0] for s in spots], dtype=dtype)
    j = torch.tensor([s[1] for s in spots], dtype=dtype)
    wanted = [mask.allows(*spot, 2**17, 2**17) for spot in spots]
    assert mask.allows(i, j, 2**17, 2**17).tolist() == wanted


def test_arbitrary_allows_about_the_share_it_names() -> None:
    """30 percent of 256 x 256 pairs, within four standard deviations (0.7 points)."""
    i, j = torch.arange(256)[:, None], torch.arange(1, 257)
    share = masks.parse("arbitrary(seed=9, percent=30)").allows(i, j, 256, 257).double().mean()
    assert abs(float(share) - 0.30) < 0.007


def test_allows_makes_no_integer_matrix() -> None:
    """A band over 2^15 x 2^15 pairs is boolean throughout: 64-bit integers would need 8 GiB."""
    peak = torch.zeros(1, dtype=torch.bool)

    class Watch(torch.utils._python_dispatch.TorchDispatchMode):
        """Sees every tensor that an operation makes."""

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            made = func(*args, **(kwargs or {}))
            if isinstance(made, torch.Tensor) and made.dim() == 2 and min(made.shape) > 1:
                peak.fill_(peak.item() or made.dtype is not torch.bool)
            return made

    i, j = torch.arange(64)[:, None], torch.arange(64)
    with Watch():
        sliding_window(3, 2, "bottom-right").allows(i, j, 64, 64)
    assert not peak.item()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("casual(align=top-left)", "did you mean causal"),
        ("sliding_window(left=1, right=0, align=top-left)", "did you mean sliding-window"),
        ("dilated(stepp=2, align=top-left)", "did you mean step"),
        ("dilated(step=two, align=top-left)", "step is 'two'; it must be an integer"),
        ("dilated(step=0, align=top-left)", "step is 0; it must be at least 1"),
        ("causal", "causal lacks align=top-left or bottom-right"),
        ("causal(align=left)", "align is 'left'"),
        ("causal(align=top-left, align=top-left)", "align is given twice"),
        ("none(align=top-left)", "takes no arguments"),
        ("sliding-window(left=3, align=top-left)", "sliding-window lacks right"),
        ("causal(align=top-left) & dilated(step=2, align=bottom-right)", "alignments differ"),
        ("arbitrary(seed=1, percent=101)", "percent is 101"),
        ("", "not of the form"),
        ("causal(align=top-left) &", "not of the form"),
        ("causal(align=top-left))", "not of the form"),
        ("causal(top-left)", "not of the form key=value"),
    ],
)
def test_bad_text_says_what_is_wrong(text: str, words: str) -> None:
    """The message names the problem in the user's terms, and every known form."""
    with pytest.raises(UsageError) as caught:
        masks.parse(text)
    assert words in caught.value.why
    assert "sliding-window(left=..., right=..., align=...)" in caught.value.fix


def test_all_problems_are_reported_at_once() -> None:
    """Three wrong terms give three lines."""
    with pytest.raises(UsageError) as caught:
        masks.parse("casual & dilated(step=x, align=y) & prefix-lm(align=top-left)")
    assert len(caught.value.why.splitlines()) == 4


def test_a_missing_alignment_is_harmless_where_lengths_agree() -> None:
    """`causal` alone is allowed where Mq = Mkv, and means top-left."""
    assert masks.parse("causal", square=True) == causal("top-left")


@pytest.mark.parametrize(
    "text",
    [
        "\x1b[31mcausal\x1b[0m",
        "__init__",
        "os.system('true')",
        "causal(align=top-left)\x00",
        "../../etc/passwd",
        "<script>alert(1)</script>",
        "dilated(step=99999999999999999999, align=top-left)",
        "dilated(step=\u0661, align=top-left)",
        "dilated(step=1_0, align=top-left)",
        "none & " * 10_000,
        "(" * 900,
        "a" * 1_000_000,
    ],
)
def test_hostile_text_ends_in_a_usage_error(text: str) -> None:
    """No traceback, no control character in the message, and a message of bounded length."""
    with pytest.raises(UsageError) as caught:
        masks.parse(text)
    message = str(caught.value)
    assert all(c == "\n" or c.isprintable() for c in message)
    assert len(message) < 6000
