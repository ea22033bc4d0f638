"""A Document as one HTML file: no script, no network, styles inline."""

from __future__ import annotations

from functools import cache

import jinja2

from attnprobe.report import document as d


def render(document: d.Document, title: str) -> str:
    """A complete page; everything that comes from a session is escaped by the template engine."""
    return _template().render(document=document, title=title)


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("attnprobe.report", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["kind"] = lambda block: type(block).__name__
    return environment.get_template("page.html.jinja")
