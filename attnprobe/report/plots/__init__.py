"""Figures drawn by matplotlib, as vector graphics within a page or as PNG files.

Matplotlib is an extra: nothing here imports it before something is drawn.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from attnprobe.errors import UnusableHost
from attnprobe.report.figure import Figure

HINT = "pip install 'attnprobe[plots]'"


@cache
def problem() -> str:
    """Why nothing can be drawn here; empty when it can. Imports matplotlib."""
    try:
        importlib.import_module("attnprobe.report.plots.drawing")
    except ModuleNotFoundError as error:
        return f"{error.name or 'matplotlib'} is not installed here"
    except Exception as error:  # noqa: BLE001 - a broken installation costs the pictures alone
        return f"matplotlib cannot be imported: {type(error).__name__}: {error}"
    return ""


def require() -> None:
    """Makes sure that pictures can be drawn.

    Raises:
        UnusableHost: Matplotlib is missing or broken.
    """
    if problem():
        raise UnusableHost("pictures cannot be drawn", why=problem(), fix=HINT)


def svg(figure: Figure) -> str:
    """The figure as an element of an HTML page, the same text for the same figure."""
    from attnprobe.report.plots import drawing, inline

    return inline.tidied(drawing.saved(figure, "svg").decode(), figure.title)


def write(figures: Sequence[Figure], folder: Path) -> list[Path]:
    """Writes each figure as a PNG of its own, numbered in their order; the paths that were written.

    Raises:
        OSError: The folder cannot be written to.
    """
    from attnprobe.report.plots import drawing

    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number, figure in enumerate(figures, 1):
        path = folder / f"{number:02d}-{_slug(figure.title)}.png"
        path.write_bytes(drawing.saved(figure, "png"))
        paths.append(path)
    return paths


def _slug(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:60]
