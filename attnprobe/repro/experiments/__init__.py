"""The laboratory's experiments as statements, one template per experiment: the file is the registration.

`mask_decode.py.jinja` makes the same manipulation as `device/laboratory/mask_decode.py` and tells its
result by numbers that need no bound. Where an experiment holds each run to its contract, a script holds
it to four times the error of a plain run of the same call: another order of additions moves an error,
it does not multiply it.
"""

from __future__ import annotations

from functools import cache

import jinja2

from attnprobe.core.trial import Trial
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
    return (
        _templates()
        .get_template(name.replace("-", "_") + _SUFFIX)
        .render(
            case=case,
            own_callable=":" in trial.backend,
            allowed="everyone & allowed" if masked else "everyone",
            belongs=" & (belongs[..., 0] == 1).to(device)" if case.lengths is not None else "",
        )
    )


@cache
def _templates() -> jinja2.Environment:
    return jinja2.Environment(  # nothing is escaped: the text is Python
        loader=jinja2.PackageLoader("attnprobe.repro.experiments", "."),
        trim_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
