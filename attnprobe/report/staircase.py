"""A matrix in fixed-width text: column names as a staircase, so that a column is two cells wide."""

from __future__ import annotations

from collections.abc import Iterator

from rich.cells import cell_len

from attnprobe.report.document import Inline, Matrix, Span, line


def staircase(matrix: Matrix) -> Iterator[Inline]:
    """Lines of the matrix: the names, each over its column, then the rows; no legend.

    >>> from attnprobe.report.document import Matrix, line
    >>> matrix = Matrix(("eager", "flex"), (("none", line("+", "x")),), ())
    >>> for spans in staircase(matrix):
    ...     print("".join(span.text for span in spans))
          eager
          │ flex
    none  + x
    """
    width = max((cell_len(name) for name, _ in matrix.rows), default=0) + 2
    for index, name in enumerate(matrix.columns):
        yield line(" " * width + "│ " * index, Span(name, "strong"))
    for name, cells in matrix.rows:
        spaced = (part for cell in cells for part in (cell, Span(" ")))
        yield line(name + " " * (width - cell_len(name)), *spaced)
