"""A workload as the YAML that it is read from: what a capture becomes when somebody wants to edit it."""

from __future__ import annotations

import re
from typing import Any

import yaml

from attnprobe.core.case import Case
from attnprobe.core.score import Bias
from attnprobe.workload import Call, Workload

_ODD = re.compile(r"[^\w .,:;+()/&=-]+")
_LONGEST = 80

_PLAIN = Case(1, 1, 1, 1, 1, 1, 1, device="auto")
_SIZES = ("B", "Hq", "Hkv", "Mq", "Mkv", "K", "Kv")
_AS_THEY_ARE = ("dtype", "device", "layout", "mask_form", "dropout_p", "family", "seed", "module")
"""Fields that a file spells as a case does."""


def written(workload: Workload) -> str:
    """YAML that gives the same calls when it is read; its notes are comments.

    Args:
        workload: Names and sources are shortened to what a file may hold.
    """
    data = {
        "name": _label(workload.name),
        "about": workload.about[:120],
        "source": workload.source,
        "cases": [_entry(call) for call in workload.calls],
    }
    notes = "".join(f"# {_printable(note)}\n" for note in workload.notes)
    return notes + yaml.safe_dump(
        {key: value for key, value in data.items() if value},
        sort_keys=False,
        allow_unicode=True,
        width=120,
        default_flow_style=None,
    )


def _printable(text: str) -> str:
    """One line that YAML can hold as a comment, whatever paths the notes name."""
    return "".join(c if c.isprintable() and c.isascii() else "?" for c in text)


def _label(text: str) -> str:
    """The end of a name, in the characters that names have."""
    return _ODD.sub("-", text)[-_LONGEST:]


def _entry(call: Call) -> dict[str, Any]:
    """What a call says that is not said by leaving it out."""
    case, score = call.case, call.case.score
    found: dict[str, Any] = {"name": _label(case.name)} if case.name else {}
    found |= {name: getattr(case, name) for name in _SIZES}
    found |= {
        name: getattr(case, name)
        for name in _AS_THEY_ARE
        if getattr(case, name) != getattr(_PLAIN, name)
    }
    found |= {"pass": case.passes} if case.passes != _PLAIN.passes else {}
    found |= {"grads": list(case.grads)} if case.grads != _PLAIN.grads else {}
    found |= {} if case.mask.is_none else {"mask": case.mask.text}
    numbers = {"scale": score.scale, "softcap": score.softcap}
    found |= {name: value for name, value in numbers.items() if value is not None}
    found |= {"alibi": True} if score.alibi else {}
    found |= {"bias": _bias(score.bias)} if score.bias else {}
    if case.lengths is not None:
        found |= {"q_lengths": [list(case.lengths.q)], "kv_lengths": [list(case.lengths.kv)]}
        found |= {"storage": case.lengths.storage, "tail": case.lengths.tail}
    found |= {"source": call.source} if call.source else {}
    found |= {"backend": call.backend} if call.backend else {}
    found |= {"calls_per_step": call.calls_per_step} if call.calls_per_step != 1 else {}
    found |= {"habits": list(call.habits)} if call.habits else {}
    return found


def _bias(bias: Bias) -> dict[str, Any]:
    found: dict[str, Any] = {"shape": bias.text}
    found |= {"requires_grad": True} if bias.requires_grad else {}
    found |= {"dtype": bias.dtype} if bias.dtype else {}
    return found | ({"forbids": True} if bias.forbids else {})
