"""Takes out of a report who and where: what is left says what the machine is, not whose.

Applied to the record, before any view is made, so every view and the session file agree. Where a
pattern is ambiguous, privacy wins, with two exceptions that would spoil a report: a dotted quadruple
that is a version (`cuDNN 9.19.0.56`) is no address, and a user called `torch` does not rename the
library.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from functools import cache
from typing import Any

from attnprobe.core.capture import Capture
from attnprobe.core.environment import Environment
from attnprobe.core.mask import Mask
from attnprobe.core.report import Report
from attnprobe.redact.identity import Identity
from attnprobe.redact.scrub import SECRET, Scrub, names_a_secret, scrubber

__all__ = ["Identity", "redact", "redact_capture"]


def redact(report: Report, identity: Identity) -> Report:
    """The same report with every string scrubbed; masks, numbers and literals stay as they are."""
    return typing.cast("Report", _mapped(report, scrubber(identity, _versions(report))))


def redact_capture(capture: Capture, identity: Identity) -> Capture:
    """The same capture, likewise."""
    scrub = scrubber(identity, _versions_of(capture.environment))
    return typing.cast("Capture", _mapped(capture, scrub))


def _versions(report: Report) -> frozenset[str]:
    """What the report itself calls a version: those four numbers are no address anywhere in it."""
    found = {v for fact in report.backends for v in (fact.version, fact.claim.version)}
    return frozenset(found) | _versions_of(report.environment)


def _versions_of(environment: Environment | None) -> frozenset[str]:
    if environment is None:
        return frozenset()
    found = {package.version for package in environment.packages}
    found |= {environment.driver, environment.cuda_driver}
    if torch := environment.torch:
        found |= {torch.cudnn, torch.cuda, torch.hip}
    return frozenset(found)


def _mapped(value: Any, scrub: Scrub) -> Any:
    if isinstance(value, str):
        return scrub(value)
    if isinstance(value, Mask):
        return value
    if isinstance(value, Mapping):
        return {scrub(key): _entry(key, item, scrub) for key, item in value.items()}
    if isinstance(value, tuple):
        return tuple(_mapped(item, scrub) for item in value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        literal = _literal_fields(type(value))
        changes = {
            f.name: "" if f.name == "uuid" else _mapped(getattr(value, f.name), scrub)
            for f in dataclasses.fields(value)
            if f.name not in literal
        }
        return dataclasses.replace(value, **changes)
    return value


def _entry(key: str, value: Any, scrub: Scrub) -> Any:
    return SECRET if isinstance(value, str) and names_a_secret(key) else _mapped(value, scrub)


@cache
def _literal_fields(kind: type) -> frozenset[str]:
    hints = typing.get_type_hints(kind)
    return frozenset(n for n, hint in hints.items() if typing.get_origin(hint) is typing.Literal)
