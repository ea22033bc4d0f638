"""Matplotlib's SVG made fit to stand within a page: the page's fonts and colours, no ids, few digits."""

from __future__ import annotations

import html
import re

from attnprobe.report.plots.palette import VARIABLES

_NUMBER = re.compile(r"-?\d+\.\d{3,}")
_GROUP_ID = re.compile(r' id="[\w.]+_\d+"')
_FONT = re.compile(r"font-family: [^;\"]*(?:; )?")
_STYLE = re.compile(r"<style.*?</style>", re.DOTALL)
_METADATA = re.compile(r"<metadata>.*?</metadata>", re.DOTALL)
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_UPRIGHT = re.compile(r' transform="rotate\(-0 [^)]*\)"')
_TAG = re.compile(r"<[^>]*>")
_BLANK = re.compile(r">\s+<")


def tidied(svg: str, title: str) -> str:
    """The element alone, which follows the page's light or dark colours; words stay as they are.

    Args:
        svg: A whole file as matplotlib writes it.
        title: What a screen reader says.
    """
    element = svg[svg.index("<svg") :]
    for pattern in (_METADATA, _STYLE, _COMMENT):
        element = pattern.sub("", element)
    element = _BLANK.sub("><", _TAG.sub(lambda tag: _tidied(tag[0]), element)).strip()
    label = html.escape(title, quote=True)
    return element.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)


def _tidied(tag: str) -> str:
    """One tag with what stands in it."""
    for pattern in (_GROUP_ID, _FONT, _UPRIGHT):
        tag = pattern.sub("", tag)
    for colour, name in VARIABLES.items():
        tag = tag.replace(colour, f"var({name}, {colour})")
    tag = " ".join(tag.split())
    return _NUMBER.sub(lambda m: f"{float(m[0]):.2f}".rstrip("0").rstrip("."), tag)
