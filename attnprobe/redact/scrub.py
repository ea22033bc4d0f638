"""One string without secrets and identities."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from attnprobe.redact import addresses
from attnprobe.redact.identity import Identity
from attnprobe.redact.patterns import COMMON_NAMES, RULES, SECRET, SECRET_NAME
from attnprobe.report.plain import without_escapes

__all__ = ["SECRET", "Scrub", "names_a_secret", "scrubber"]

Scrub = Callable[[str], str]

LONGEST = 20_000  # characters kept of one string, its end: enough for any trace, quick to search


@lru_cache(maxsize=8)
def scrubber(identity: Identity, versions: frozenset[str] = frozenset()) -> Scrub:
    """A function that takes secrets and identities out of one string.

    Terminal escapes go too: they can split a secret so that no pattern sees it. What was scrubbed is
    remembered: records of one run say much the same.

    Args:
        identity: Names that are known to give the machine away.
        versions: Strings that are known to be versions, however much they look like addresses.
    """
    names, homes = _names(identity), _homes(identity)

    @lru_cache(maxsize=2**14)
    def scrub(text: str) -> str:
        # both ways: an escape can split a secret, and removing one can eat how a secret begins
        return scrubbed(without_escapes(scrubbed(text[-LONGEST:])))

    def scrubbed(text: str) -> str:
        for home in homes:
            text = home.sub("~", text)
        for rule in RULES:
            text = rule.pattern.sub(rule.replacement, text)
        text = addresses.removed(text, versions)
        return names.sub("<name>", text) if names else text

    return scrub


def names_a_secret(name: str) -> bool:
    """True for the name of a variable or field whose value is a secret, such as `HF_TOKEN`."""
    return bool(re.fullmatch(rf"{SECRET_NAME}|\w+_KEY", name, re.IGNORECASE))


def _homes(identity: Identity) -> tuple[re.Pattern[str], ...]:
    longest_first = sorted(identity.homes, key=len, reverse=True)
    return tuple(
        re.compile(rf"{re.escape(home)}(?![\w.-])", re.IGNORECASE) for home in longest_first
    )


def _names(identity: Identity) -> re.Pattern[str] | None:
    given = (*identity.users, *identity.hosts, *identity.addresses)
    telling = {n for n in given if len(n) >= 3 and n.lower() not in COMMON_NAMES}
    if not telling:
        return None
    longest_first = sorted(telling, key=len, reverse=True)
    joined = "|".join(map(re.escape, longest_first))
    return re.compile(rf"(?<![A-Za-z0-9])(?:{joined})(?![A-Za-z0-9])", re.IGNORECASE)
