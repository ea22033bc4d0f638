"""The parts of a script put together: everything but what is asked and what is told."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, replace
from functools import cache

import jinja2

from attnprobe.core.case import Case
from attnprobe.errors import UsageError
from attnprobe.repro import pairs, tensors
from attnprobe.repro.calls.base import REPEATED, Call, returned
from attnprobe.repro.ending import UNTOLD, Ending

_ALWAYS = ("import os", "import sys", "import torch")
_APART = ("import subprocess", "import tempfile")


@dataclass(frozen=True)
class Told:
    """What the head of the script says.

    Args:
        title: One line: what is wrong.
        story: Paragraphs: what was seen, where, and how to read the exit status.
    """

    title: str
    story: str


def script(case: Case, call: Call, told: Told, question: str, ending: Ending) -> str:
    """The whole file.

    Args:
        case: The attention call.
        call: How the library is called.
        told: The docstring, safe to stand in one.
        question: Statements that run, print and end the process.
        ending: What an exception means, and whether a child makes the call.

    Raises:
        UsageError: The case describes no attention call.
    """
    if case.problems:
        raise UsageError("this case is no attention call", why="\n".join(case.problems))
    if not re.fullmatch(r"(cpu|cuda)(:\d+)?", case.device):
        raise UsageError(f"no script can be written for the device {ascii(case.device)[:40]}")
    used = set(re.findall(r"\b[a-z_]+\b", question))
    if "attention_with_lse" in used:
        if not call.lse:
            raise UsageError(
                "a wrong log-sum-exp cannot be shown in a script",
                why="the library keeps it to itself in this call",
            )
        call = replace(call, imports=call.imports + call.lse_imports)
    known = pairs.lines(case)
    if not used & {"attention", "reference", "allowed"}:
        known, call = "", replace(call, setup="")
    bias = case.score.bias is not None
    names = ("q", "k", "v", "bias") if bias else ("q", "k", "v")
    score = case.score
    text = _template().render(
        title=told.title,
        story=told.story,
        imports=_sorted((*call.imports, *_ALWAYS, *(_APART if ending.limit_s else ()))),
        ending=ending,
        untold=UNTOLD,
        case=case,
        device=f'"{case.device}"',
        scale="K**-0.5" if score.scale is None else repr(score.scale),
        softcap="" if score.softcap is None else repr(score.softcap),
        sequences=pairs.sequences(case),
        tensors=tensors.lines(case),
        pairs=known,
        gap=_gap(known),
        setup_gap=_gap(call.setup),
        call=call,
        bias=", bias" if bias else "",
        reference=returned(_scores(case), *_weighted(case)),
        log_sum_exp=returned(_scores(case), _summed(case)),
        wanted=repr(_wanted(case)).replace("'", '"'),
        given="{%s}" % ", ".join(f'"{name}": {name}' for name in names),  # noqa: UP031 - braces
        used=used,
        question=question,
    )
    return re.sub(r"\n{4,}", "\n\n\n", text).rstrip() + "\n"


def _gap(text: str) -> str:
    """The empty lines before a block: two before a function."""
    return "\n\n" if text.startswith("def ") else "\n"


@cache
def _template() -> jinja2.Template:
    loader = jinja2.PackageLoader("attnprobe.repro", ".")
    environment = jinja2.Environment(
        loader=loader, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    return environment.get_template("script.py.jinja")


def _sorted(imports: tuple[str, ...]) -> dict[str, list[str]]:
    """The standard library first; plain imports before `from` ones, as isort has them."""
    standard = {
        line for line in imports if line.split()[1].split(".")[0] in sys.stdlib_module_names
    }
    others = sorted(set(imports) - standard, key=lambda line: (line[:4] == "from", line))
    return {"standard": sorted(standard), "libraries": others}


def _wanted(case: Case) -> tuple[str, ...]:
    if not case.wants_backward:
        return ()
    return (*case.grads, *(("bias",) if case.wants_bias_grad else ()))


def _scores(case: Case) -> str:
    return returned(
        REPEATED if case.groups > 1 else "",
        "scores = scale * q @ k.mT",
        "scores = softcap * torch.tanh(scores / softcap)" if case.score.softcap else "",
        "scores = scores + alibi" if case.score.alibi else "",
        "scores = scores + bias" if case.score.bias else "",
    )


def _weighted(case: Case) -> tuple[str, str]:
    masked = "weights = scores.masked_fill(~allowed, -1e300).softmax(-1) * allowed"
    plain = "weights = scores.softmax(-1)"
    return masked if pairs.needs_allowed(case) else plain, "return weights @ v"


def _summed(case: Case) -> str:
    masked = ".masked_fill(~allowed, -torch.inf)" if pairs.needs_allowed(case) else ""
    return f"return scores{masked}.logsumexp(-1)"
