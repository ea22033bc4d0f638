"""What a library's call amounts to in a script."""

from __future__ import annotations

import json
from dataclasses import dataclass

from attnprobe.core.case import Case

REPEATED = "k, v = (t.repeat_interleave(Hq // Hkv, 1) for t in (k, v))"


@dataclass(frozen=True)
class Call:
    """Source text.

    Args:
        imports: Import lines.
        body: The function `attention(q, k, v, bias)`, from canonical (B, H, M, K) tensors to a
            canonical output; statements, the last of them a return.
        setup: Statements before it that belong to no launch.
        package: Distribution whose version matters.
        lse: The function that gives the log-sum-exp too, canonical (Bc, Hq, Tq), beside the output;
            statements like `body`. Empty where the library keeps it to itself.
        lse_imports: Import lines that it needs besides.
    """

    imports: tuple[str, ...]
    body: str
    setup: str = ""
    package: str = "torch"
    lse: str = ""
    lse_imports: tuple[str, ...] = ()


def quoted(text: str) -> str:
    """A Python string literal in double quotes, whatever the text holds."""
    return json.dumps(text)


def call(function: str, *arguments: str) -> str:
    """`function(a, b)`, on several lines where one would be too long."""
    given = [argument for argument in arguments if argument]
    text = f"{function}({', '.join(given)})"
    if len(text) <= 84:
        return text
    inner = "".join(f"    {argument},\n" for argument in given)
    return f"{function}(\n{inner})"


def returned(*parts: str) -> str:
    """Statements one below the other, empty ones left out."""
    return "\n".join(part for part in parts if part)


def scale(case: Case, name: str = "scale") -> str:
    """The argument for the scale, where it is not the default."""
    return "" if case.score.scale is None else f"{name}=scale"
