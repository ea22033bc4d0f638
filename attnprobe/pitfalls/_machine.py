"""Pitfalls of an installation: what `remedies/` recognises, as the words of a suspicion and its fix."""

from __future__ import annotations

from dataclasses import replace

from attnprobe.core.environment import Environment
from attnprobe.diagnosis.situation import Situation


def what(said: str | None) -> str | None:
    """What is wrong, out of a remedy's words; None where it says nothing."""
    return said.partition(" Fix: ")[0].rstrip(".") if said else None


def way_out(said: str | None) -> str:
    """The fix, out of a remedy's words."""
    return said.partition(" Fix: ")[2].rstrip(".") if said else ""


def lacking(here: Situation, owner: str) -> Environment:
    """The machine with no missing libraries but those that one distribution needs.

    What is in the child's memory under the same name is not missing, however it came there.
    """
    loaded = {library.name for library in here.environment.libraries if not library.missing}
    lacks = (
        library
        for library in here.environment.libraries
        if library.missing and library.name not in loaded
    )
    mine = tuple(library for library in lacks if library.needed_by.partition(":")[0] == owner)
    return replace(here.environment, libraries=mine)
