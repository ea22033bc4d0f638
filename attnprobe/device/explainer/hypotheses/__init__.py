"""One file per hypothesis: the file is the registration.

`hypotheses/scale_missing.py` says in its docstring what would be seen and why. It has a `KIND` and
`variants(seen)`, which yields the problems that such a kernel solves instead; none when the hypothesis
says nothing about the case.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from functools import cache

from attnprobe.device.explainer.seen import Seen, Variant

KINDS = ("problem", "indirect", "result", "precision")
"""In the order in which they are tried; a later kind is asked about what no earlier one explains.

problem: another mask, scale, order of heads; indirect: the same, read off outputs or earlier calls;
result: the right problem, whose results were spoiled afterwards, or a backward that is wrong by itself;
precision: the right problem in fewer digits.
"""

Variants = Callable[[Seen], Iterator[Variant]]


@cache
def of_kind(kind: str) -> tuple[Variants, ...]:
    """The hypotheses of one kind, by name."""
    found = []
    for file in sorted(m.name for m in pkgutil.iter_modules(__path__)):
        module = importlib.import_module(f"{__name__}.{file}")
        if kind == module.KIND:
            found.append(module.variants)
    return tuple(found)
