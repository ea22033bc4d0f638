"""`attnprobe explain CODE`: the page of a pitfall; without a code, all of them."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from attnprobe import pitfalls
from attnprobe.cli.output import emit, next_step
from attnprobe.device import habits
from attnprobe.errors import UsageError


def explain(
    code: Annotated[
        str, typer.Argument(metavar="CODE", help="AP054, or its name: fp32-inputs.")
    ] = "",
    habits_: Annotated[
        bool, typer.Option("--habits", help="What a workload may say of the code around a call.")
    ] = False,
) -> None:
    """The page of a pitfall: what happens, why, how it is proven, the fix. Without CODE: all of them."""
    if habits_ and code:
        raise UsageError("--habits lists habits, and CODE names a pitfall", fix="give one of them")
    if habits_:
        _columns([(name, habits.about(name)) for name in habits.names()])
        next_step("attnprobe diagnose --shape 2,8,8,2048,2048,64 --habit NAME")
        return
    if not code:
        rules = sorted((pitfalls.load(name).code, name) for name in pitfalls.names())
        _columns([(f"{code} {name}", pitfalls.title(name)) for code, name in rules])
        next_step(f"attnprobe explain {rules[0][0]}")
        return
    _page(pitfalls.find(code))
    next_step(f"attnprobe diagnose --only {code}")


def _columns(rows: list[tuple[str, str]]) -> None:
    width = max(len(name) for name, _ in rows)
    emit("\n".join(f"{name:{width}}  {words}" for name, words in rows))


def _page(name: str) -> None:
    """Markdown: rendered on a terminal, as it is elsewhere."""
    rule = pitfalls.load(name)
    head = f"# {rule.code} {name}\n\nSeverity: {rule.severity}. {pitfalls.page(name)}\n"
    sources = "".join(f"- {reference}\n" for reference in rule.references)
    measured = "".join(f"- {line}\n" for line in pitfalls.measured(name))
    text = f"{head}\n**Sources.**\n\n{sources}"
    if measured:
        text += f"\n**Measured.**\n\n{measured}"
    if not sys.stdout.isatty():
        emit(text)
        return
    from rich.console import Console
    from rich.markdown import Markdown

    Console(width=min(100, Console().width)).print(Markdown(text))
