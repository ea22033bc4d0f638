"""Kept pages hold pictures made of characters: what matplotlib draws differs between its releases."""

from __future__ import annotations

import pytest

from attnprobe.report import plots


@pytest.fixture(autouse=True)
def _without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plots, "problem", lambda: "matplotlib is not installed here")
