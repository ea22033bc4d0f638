"""Every lowering says what the mask says, on every shape, as the library itself reads it."""

from pathlib import Path

import pytest

from attnprobe.core.score import Bias, Score
from attnprobe.device.lowering import xformers
from attnprobe.device.lowering.base import Refusal
from tests.contract import square

GOLDEN = Path(__file__).with_name("square.txt")


@pytest.mark.parametrize("name", square.ways())
def test_the_library_reads_what_the_mask_says(name: str) -> None:
    """No lowering differs from `Mask.allows` for any mask on any shape."""
    wrong = (square.disagreement(name, *pair) for pair in square.combinations())
    assert "\n".join(text for text in wrong if text) == ""


def test_no_lowering_becomes_a_refusal_unnoticed() -> None:
    """What is lowered, refused or made dense is what the golden table says.

    After a wanted change: `python -m tests.contract.square > tests/contract/square.txt`.
    """
    assert GOLDEN.read_text() == square.table()


def test_every_class_of_xformers_is_used() -> None:
    """Each mask class that xFormers exports is what some case lowers to."""
    module = xformers.bias_module()
    assert not isinstance(module, tuple), module
    classes = {
        name
        for name, found in vars(module).items()
        if isinstance(found, type) and issubclass(found, module.AttentionBias)
    } - {"AttentionBias"}
    forms = {
        square.lowered(name, square.case_of(mask, shape)).form
        for name in square.ways()
        if name.startswith("xformers")
        for mask, shape in square.combinations()
        if not isinstance(square.lowered(name, square.case_of(mask, shape)), Refusal)
    }
    biased = square.case_of("causal(align=top-left)", "4x4", score=Score(bias=Bias()))
    forms.add(square.lowered("xformers", biased).form)
    assert classes - forms == set()


@pytest.mark.parametrize("name", [n for n in square.ways() if not n.endswith("-float")])
def test_a_refusal_names_every_reason(name: str) -> None:
    """A case with several things that a library lacks gets one reason for each."""
    case = square.case_of(
        "arbitrary(seed=1, percent=50)",
        "4x4",
        score=Score(softcap=5.0, alibi=True, bias=Bias(), scale=0.5),
        dropout_p=0.5,
        mask_form="dense-bool",
    )
    said = square.lowered(name, case)
    assert isinstance(said, Refusal)
    lacking = {
        "dense": 2,
        "sdpa": 2,
        "flex": 2,
        "xformers": 2,
        "mha": 3,
        "lucidrains": 3,
        "flash": 3,
    }
    assert len(set(said.reasons)) >= lacking.get(name.partition("-")[0], 5), said.reasons
