"""`--plot DIR` writes files, and says what is in the way before anything is measured."""

from __future__ import annotations

from pathlib import Path

import pytest

from attnprobe.cli import main, views
from attnprobe.errors import UnusableHost
from attnprobe.report import plots
from tests.plots.sweep import SWEPT


def test_a_folder_is_filled(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As many files as pictures, and a line that says so."""
    pytest.importorskip("matplotlib")
    views.draw(SWEPT, str(tmp_path / "pictures"))
    assert len(list((tmp_path / "pictures").glob("*.png"))) == 4
    assert f"4 pictures in {tmp_path / 'pictures'}" in capsys.readouterr().err


def test_a_file_in_the_place_of_the_folder_is_said(tmp_path: Path) -> None:
    """Clear words, not a traceback."""
    pytest.importorskip("matplotlib")
    (tmp_path / "taken").write_text("x")
    with pytest.raises(UnusableHost, match="pictures could not be written"):
        views.draw(SWEPT, str(tmp_path / "taken"))


def test_without_matplotlib_nothing_is_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 3 and the way to install it, before a session is opened."""

    def opened(*_: object) -> None:
        raise AssertionError("something is measured")

    monkeypatch.setattr("attnprobe.survey.opened", opened)
    monkeypatch.setattr(plots, "problem", lambda: "matplotlib is not installed here")
    assert _exit(["profile", "--plot", "x"]) == 3
    assert "pip install 'attnprobe[plots]'" in capsys.readouterr().err


def test_two_interpreters_are_not_drawn(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 2, and what to do instead."""
    pytest.importorskip("matplotlib")
    assert _exit(["profile", "--plot", "x", "--python", "a", "--python", "b"]) == 2
    assert "attnprobe render SESSION --plot DIR" in " ".join(capsys.readouterr().err.split())


def _exit(arguments: list[str]) -> object:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    return ended.value.code
