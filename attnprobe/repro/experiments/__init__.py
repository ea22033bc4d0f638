"""The laboratory's experiments as statements, one template per experiment: the file is the registration.

`mask_decode.py.jinja` makes the same manipulation as `device/laboratory/mask_decode.py` and tells its
result by numbers that need no bound. Where an experiment holds each run to its contract, a script holds
it to four times the error of a plain run of the same call: another order of additions moves an error,
it does not multiply it.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache

import jinja2

from attnprobe.core.outcome import Measured
from attnprobe.core.parity import Parity, Quantity
from attnprobe.core.trial import Record, Trial
from attnprobe.errors import UsageError

_SUFFIX = ".py.jinja"


@cache
def names() -> tuple[str, ...]:
    """The experiments that can be written."""
    files = (name.removesuffix(_SUFFIX) for name in _templates().list_templates(["jinja"]))
    return tuple(sorted(name.replace("_", "-") for name in files if name[0] != "_"))


def ask(trial: Trial) -> str:
    """The statements of one experiment.

    Raises:
        UsageError: It cannot be written as a script.
    """
    name, case = trial.question, trial.case
    if name not in names():
        raise UsageError(
            f"the experiment {name} cannot be written as a standalone script",
            why=f"it takes more than a call or two; those that can be: {', '.join(names())}",
            fix="`attnprobe check` repeats it",
        )
    masked = not case.mask.is_none or case.lengths is not None
    return render(
        name,
        case=case,
        own_callable=":" in trial.backend,
        allowed="everyone & allowed" if masked else "everyone",
        belongs=" & (belongs[..., 0] == 1).to(device)" if case.lengths is not None else "",
    )


def render(name: str, **given: object) -> str:
    """The template of an experiment, filled in."""
    template = _templates().get_template(name.replace("-", "_") + _SUFFIX)
    return template.render(**given)


_PLAIN = frozenset({"accuracy", "nonfinite", "empty_rows", "leak"})
"""Failures that a comparison with the reference finds without any experiment."""

_OFF = re.compile(r"off by ([\d.e+]+) times .* relative error ([\d.e+-]+)")


def met(record: Record) -> Parity | None:
    """What a plain comparison shows, where an experiment met that and nothing of its own.

    An experiment on a kernel that is wrong anyway says so and ends. Its record holds no quantities:
    sizes are those of its messages.
    """
    outcome = record.outcome
    if not isinstance(outcome, Measured) or outcome.parity is None:
        return None
    own = {"leak"} if record.trial.question == "leak" else set[str]()
    kinds = {failure.kind for failure in outcome.parity.failures}
    if record.trial.question in _OWN or not kinds or not kinds <= _PLAIN - own:
        return None
    found = {}
    for failure in outcome.parity.failures:
        size = _OFF.search(failure.message)
        ratio, relative = map(float, size.groups()) if size else (1.0, 0.0)
        nonfinite = int(failure.kind == "nonfinite")
        if failure.of and (size or nonfinite):
            found[failure.of] = Quantity("fail", ratio, "", relative, nonfinite=nonfinite)
    return replace(outcome.parity, quantities=found)


_OWN = ("ring", "training")
"""Experiments whose wrong numbers are their own."""


@cache
def _templates() -> jinja2.Environment:
    return jinja2.Environment(  # nothing is escaped: the text is Python
        loader=jinja2.PackageLoader("attnprobe.repro.experiments", "."),
        trim_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
