"""The square compares with the definition of a mask; the pictures in its docstring check that.

Each error planted in a family's source makes its doctest fail.
"""

import doctest
import importlib
import inspect
import sys
import types

import pytest

DEFINITIONS = {
    "prefix one short": ("prefix_lm", "j < self.prefix", "j < self.prefix - 1"),
    "prefix one long": ("prefix_lm", "j < self.prefix", "j <= self.prefix"),
    "prefix without the causal part": ("prefix_lm", "(j <= i + shift) | ", ""),
    "dilation from the wrong corner": ("dilated", "j - i - shift", "j - i"),
    "blocks from the wrong corner": ("block_diagonal", "(i + shift)", "i"),
    "sinks not causal": ("sinks", "(j <= i + shift) & ", ""),
    "one sink more": ("sinks", "j < self.count", "j <= self.count"),
    "causal of the other corner": ("causal", "Mask(None, 0, align)", 'Mask(None, 0, "top-left")'),
    "window mirrored": ("sliding_window", "Mask(left, right, align)", "Mask(right, left, align)"),
}


@pytest.mark.parametrize("name", DEFINITIONS)
def test_the_pictures_catch_a_wrong_definition(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong definition draws another picture."""
    family, right, wrong = DEFINITIONS[name]
    module = importlib.import_module(f"attnprobe.masks.{family}")
    source = inspect.getsource(module)
    assert right in source
    mutated = types.ModuleType(family)
    monkeypatch.setitem(sys.modules, family, mutated)  # dataclasses look their module up
    exec(compile(source.replace(right, wrong), family, "exec", dont_inherit=True), vars(mutated))
    assert doctest.testmod(mutated, report=False, verbose=False).failed > 0
