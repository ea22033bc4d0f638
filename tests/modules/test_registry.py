"""Folders are layers, and what they name without torch is what they can compute."""

from __future__ import annotations

import subprocess
import sys

import pytest

from attnprobe.device import modules
from attnprobe.device.modules.base import COMPILED
from attnprobe.errors import UsageError


def test_names_and_variants_need_no_torch() -> None:
    """The host plans trials of layers, and the host has no torch."""
    program = (
        "import sys; sys.modules['torch'] = None; from attnprobe.device import modules;"
        "print(sum(len(modules.variants(name)) for name in modules.names()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) == sum(len(modules.variants(name)) for name in modules.names())


@pytest.mark.parametrize("name", modules.names())
def test_variants_are_what_the_layer_computes(name: str) -> None:
    """Every name has a body, compiled or not, and every body a name."""
    named = {variant.removesuffix(COMPILED) for variant in modules.variants(name)}
    assert named == set(modules.load(name).bodies)


@pytest.mark.parametrize("name", modules.names())
def test_what_compiles_comes_last(name: str) -> None:
    """A first result should not wait for a compiler."""
    compiled = [modules.load(name).compiles(variant) for variant in modules.variants(name)]
    assert compiled == sorted(compiled)


def test_an_unknown_layer_names_the_nearest() -> None:
    """A typo is answered with what was probably meant."""
    with pytest.raises(UsageError, match="mha-layer"):
        modules.variants("mha-layr")
