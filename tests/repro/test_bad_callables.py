"""Whatever a callable returns or changes that it should not: its script shows it until it is mended."""

from __future__ import annotations

from pathlib import Path

import pytest

from attnprobe.core.trial import Trial
from attnprobe.device import functions, settings
from attnprobe.device.answer import answer
from attnprobe.repro import wrong
from tests.check.test_bad_callables import CASE, WRONG
from tests.repro.scripts import Record, executed, write


@pytest.mark.parametrize("name", WRONG)
def test_what_is_returned_or_changed_is_shown(name: str, tmp_path: Path):
    """Status 1 with the bad callable, 0 with a right one in its place."""
    kernel = tmp_path / "kernel.py"
    file, _, function = name.partition(".py:")
    kernel.write_text(f"from tests.check.bad.{file} import {function} as attention\n")
    trial = Trial(CASE, f"{kernel}:attention")
    record = Record(trial, answer(trial, lambda phase: None))
    assert wrong(record)
    text = write(record)
    known = functions.now()
    try:
        with settings.kept():
            shown = executed(text)
    finally:
        functions.restore(known)
    assert shown["status"] == 1, shown["printed"]
    kernel.write_text("from torch.nn.functional import scaled_dot_product_attention as attention\n")
    assert executed(text)["status"] == 0
