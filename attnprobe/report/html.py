"""A Document as one HTML file: no script, no network, styles inline."""

from __future__ import annotations

from functools import cache

import jinja2
from markupsafe import Markup

from attnprobe.report import document as d
from attnprobe.report import plots
from attnprobe.report.characters import drawn
from attnprobe.report.figure import Bars, Chart, Figure


def render(document: d.Document, title: str) -> str:
    """A complete page; everything that comes from a session is escaped by the template engine."""
    return _template().render(document=_explained(document), title=title)


def _explained(document: d.Document) -> d.Document:
    """The document; where pictures are made of characters, it says once how to get better ones."""
    figures = [block for block in document.blocks if isinstance(block, Chart | Bars)]
    if not figures or not plots.problem():
        return document
    at = document.blocks.index(figures[0])
    words = f"Pictures are made of characters because {plots.problem()}. For drawn ones: "
    note = d.Note("note", d.line(words, d.code(plots.HINT), ", then render this again."))
    return d.Document((*document.blocks[:at], note, *document.blocks[at:]))


def _picture(figure: Figure) -> Markup:
    """Vector graphics, or characters where matplotlib is missing."""
    if not plots.problem():
        return Markup(f'<div class="wide picture">{plots.svg(figure)}</div>')
    text = "\n".join("".join(span.text for span in spans) for spans in drawn(figure))
    return Markup("<pre>{}</pre>").format(text)


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
    environment.filters["picture"] = _picture
    return environment.get_template("page.html.jinja")
