"""Who is timed: backends on attention calls, and on layers the ways to compute them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from attnprobe.device import backends, modules
from attnprobe.workload import Call

NOBODY = "none"
ORDINARY = "sdpa-default"
"""What `scaled_dot_product_attention` takes by itself: the alternative that costs a user nothing."""


@dataclass(frozen=True)
class Contestants:
    """Everybody who may be timed.

    Args:
        backends: For attention calls.
        variants: For layers; each has only some of them.
        against: Whom the user wants the others compared with: a name, `none`, or empty.
    """

    backends: tuple[str, ...]
    variants: tuple[str, ...] = ()
    against: str = ""

    def of(self, call: Call) -> tuple[str, ...]:
        """Those who are timed on a case, its rival first: what comes later is compared with it."""
        found = self._of(call)
        first = self.rival(call)
        return (first, *(n for n in found if n != first)) if first else found

    def rival(self, call: Call) -> str:
        """Whom the others are compared with on a case; empty for nobody.

        It is who the user named, else what the case's own code calls, else the ordinary way.
        """
        found = self._of(call)
        if self.against == NOBODY or not found:
            return ""
        wanted = self.against or call.backend or (found[0] if call.case.module else ORDINARY)
        return wanted if wanted in found else ""

    def only(self, usable: Iterable[str]) -> Contestants:
        """Without the backends that are not usable."""
        kept = set(usable)
        return replace(self, backends=tuple(name for name in self.backends if name in kept))

    def _of(self, call: Call) -> tuple[str, ...]:
        if not call.case.module:
            return self.backends
        return tuple(n for n in modules.variants(call.case.module) if n in self.variants)


def choose(calls: Sequence[Call], asked: Sequence[str], against: str = "") -> Contestants:
    """Those asked for, or all; and whom they are compared with, if that is a backend.

    Args:
        calls: The cases.
        asked: Names, globs and callables; none is all.
        against: As in `Contestants`.

    Raises:
        UsageError: A name that nobody has.
    """
    layers = dict.fromkeys(call.case.module for call in calls if call.case.module)
    known = tuple(dict.fromkeys(name for layer in layers for name in modules.variants(layer)))
    plain = any(not call.case.module for call in calls)
    if not asked:
        chosen, variants = backends.names() if plain else (), known
    else:
        variants = tuple(n for n in known if any(fnmatchcase(n, pattern) for pattern in asked))
        # a name such as `varlen` may be both, a backend and a layer's variant
        others = [
            pattern
            for pattern in asked
            if not any(fnmatchcase(n, pattern) for n in variants)
            or any(fnmatchcase(n, pattern) for n in backends.names())
        ]
        chosen = backends.match(others)
        variants = variants or known
    if against not in ("", NOBODY, *chosen, *variants):
        chosen = (*chosen, *backends.match([against]))
    return Contestants(chosen, variants, against)
