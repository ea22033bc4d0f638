"""Takes out of a report who and where: what is left says what the machine is, not whose.

Applied to the record, before any view is made, so every view and the session file agree. Where a
pattern is ambiguous, privacy wins, with two exceptions that would spoil a report: a dotted quadruple
that is a version (`12.8.93.1`) is no address, and a user called `torch` does not rename the library.
"""

from __future__ import annotations

import dataclasses
import getpass
import ipaddress
import os
import re
import socket
import typing
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from attnprobe.core.mask import Mask
from attnprobe.core.report import Report
from attnprobe.report.plain import without_escapes

Scrub = Callable[[str], str]


@dataclass(frozen=True)
class Identity:
    """What gives this machine and its user away.

    Args:
        users: Login names.
        hosts: Names of the machine, short and full.
        homes: Home folders.
        addresses: Addresses of the machine.
    """

    users: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    homes: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()

    @classmethod
    def of_this_host(cls) -> Identity:
        """The identity of the running process; what cannot be found out is left out."""
        host = socket.gethostname()
        names = {os.environ.get(v, "") for v in ("USER", "LOGNAME", "USERNAME", "SUDO_USER")}
        with suppress(OSError, KeyError):  # a container's user may lack a password entry
            names.add(getpass.getuser())
        try:
            addresses = {str(entry[4][0]) for entry in socket.getaddrinfo(host, None)}
        except OSError:  # the host does not know its own name
            addresses = set()
        home = os.path.expanduser("~")
        homes = {home, str(Path(home).resolve())} - {"~", "/"}
        hosts = {host, host.split(".")[0], os.environ.get("HOSTNAME", "")}
        return cls(
            *(tuple(sorted(filter(None, each))) for each in (names, hosts, homes, addresses))
        )


def redact(report: Report, identity: Identity) -> Report:
    """The same report with every string scrubbed; masks, numbers and literals stay as they are."""
    scrub = scrubber(identity, _versions(report))
    return typing.cast("Report", _mapped(report, scrub))


def scrubber(identity: Identity, versions: frozenset[str] = frozenset()) -> Scrub:
    """A function that takes secrets and identities out of one string.

    Args:
        identity: Names that are known to give the machine away.
        versions: Version strings that are known to be none.
    """
    words = _known_words(identity)

    @cache
    def scrub(text: str) -> str:
        text = without_escapes(text[-_LONGEST:])
        for home in sorted(identity.homes, key=len, reverse=True):
            text = re.sub(rf"{re.escape(home)}(?![\w.-])", "~", text, flags=re.IGNORECASE)
        for pattern, replacement in _PATTERNS:
            text = pattern.sub(replacement, text)
        text = _IPV6.sub(_without_ipv6, text)
        text = _IPV4.sub(lambda match: _without_ipv4(match, versions), text)
        return words.sub(lambda match: "<name>", text) if words else text

    return scrub


_LONGEST = 20_000  # characters kept of one string, its end: enough for any trace, quick to search
_SECRET = "<secret>"
_SECRET_NAME = (
    r"(?<![\w.-])[\w.-]*(?:token(?!s|iz)|secret|passw(?:or)?d|passwd|credential|api[_-]?key|access[_-]?key"
    r"|private[_-]?key|auth[_-]?key|authorization)[\w.-]*"
)
_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, flags), replacement)
    for pattern, replacement, flags in (
        # keys, by the prefixes that their issuers document for secret scanners
        (
            r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
            _SECRET,
            re.S,
        ),
        (r"(?<![A-Za-z0-9])hf_[A-Za-z0-9]{16,}", _SECRET, 0),
        (r"(?<![A-Za-z0-9])(?:sk|pk|rk)[-_][A-Za-z0-9_-]{16,}", _SECRET, 0),
        (r"(?<![A-Za-z0-9])(?:gh[oprsu]_[A-Za-z0-9]{16,}|github_pat_\w{20,})", _SECRET, 0),
        (
            r"(?<![A-Za-z0-9])(?:glpat-|npm_|pypi-|xox[abeoprs]-|dop_v1_)[A-Za-z0-9_-]{10,}",
            _SECRET,
            0,
        ),
        (r"(?<![A-Za-z0-9])(?:AKIA|ASIA|AGPA|AROA|AIDA)[A-Z0-9]{16}", _SECRET, 0),
        (r"(?<![A-Za-z0-9])AIza[A-Za-z0-9_-]{35}", _SECRET, 0),
        (
            r"(?<![A-Za-z0-9])eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?",
            _SECRET,
            0,
        ),
        (r"\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}", rf"\1 {_SECRET}", re.I),
        (r"(://)[^/\s@]+@", rf"\1{_SECRET}@", 0),
        (
            rf"({_SECRET_NAME}[\"']?\s*[=:]\s*)(?!\d{{1,7}}\b)(?:\"[^\"]*\"|'[^']*'|[^\s\"',;]+)",
            rf"\1{_SECRET}",
            re.I,
        ),
        (r"\b((?:[A-Z0-9]+_)+KEY\s*=\s*)\S+", rf"\1{_SECRET}", 0),
        # who
        (r"(?<![\w.+%-])[\w.+%-]+@(?:[\w-]+\.)+[A-Za-z]{2,}", "<e-mail>", 0),
        # which device
        (r"\b(?:GPU-|MIG-)?[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b", "<uuid>", re.I),
        (
            r"\b(serial(?:\s*(?:number|no\.?|nr\.?))?\s*[:=]?\s*)[A-Z0-9-]*\d[A-Z0-9-]{5,}",
            r"\1<serial>",
            re.I,
        ),
        (
            r"(?<![0-9A-Fa-f:-])(?:[0-9A-Fa-f]{2}([:-]))(?:[0-9A-Fa-f]{2}\1){4}[0-9A-Fa-f]{2}(?![0-9A-Fa-f:-])",
            "<mac>",
            0,
        ),
        (r"\bip-(?:\d{1,3}-){3}\d{1,3}\b", "<host>", 0),
        # where: site-packages first, because what lies before it is of no use to anyone
        (
            r"(?<![^\s\"'=(,;:<>])(?:[A-Za-z]:)?[^\s\"'=(,;:<>]*[/\\]((?:site|dist)-packages)[/\\]+",
            r"\1/",
            0,
        ),
        (
            r"[A-Za-z]:[/\\]+Users[/\\]+(?:[^/\\\r\n:*?\"<>|]+?(?=[/\\])|[^\s/\\:*?\"<>|]+)",
            "~",
            re.I,
        ),
        (r"/(?:(?:var|mnt|export|data|nfs|net|c)/)*(?:home|Users)/[^/\s\"':,;)>\]]+", "~", re.I),
        (r"(?<![\w/~])/root(?![\w-])", "~", 0),
    )
)

_IPV4 = re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?!\.?\d)")
_IPV6 = re.compile(r"(?<![\w:.])\[?(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?![\w:])")

# What stands before a version: a comparison, a name joined by - or _, a v, `so.`, or a word that
# versions follow.
_BEFORE_VERSION = re.compile(
    r"(?:[=<>~!]=?\s*|[a-z0-9][-_]|\bv|\.so\.|\b(?:version|release|cuda|cudnn|nccl|cublas\w*|curand"
    r"|cufft|cusparse\w*|cusolver|cudart|nvrtc|nvjitlink|toolkit|driver|torch|triton|xformers"
    r"|[\w-]+-cu\d\d)[\s:(=]+)$",
    re.IGNORECASE,
)


def _without_ipv4(match: re.Match[str], versions: frozenset[str]) -> str:
    text = match[0]
    octets = [int(part) for part in text.split(".")]
    followed = match.string[match.end() : match.end() + 1]
    version = text in versions or _BEFORE_VERSION.search(match.string[: match.start()])
    if max(octets) > 255 or (version and followed not in (":", "/")):
        return text
    return "<ip>"


def _without_ipv6(match: re.Match[str]) -> str:
    text = match[0].removeprefix("[")
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return match[0]
    groups = [group for group in text.split(":") if group]
    # `c10::d` in a C++ name is a valid address; a real one is longer or begins like one
    looks_real = len(groups) >= 3 or text.lower().startswith(("fe8", "fc", "fd", "2", "3"))
    return match[0].replace(text, "<ip>") if looks_real else match[0]


# Accounts that many machines share, and words of the field: taking them out would say nothing
# about a person and would spoil the report.
_COMMON_NAMES = frozenset(
    """
    root user users admin administrator ubuntu debian centos fedora ec2-user runner docker jovyan app
    nobody guest test tester build builder ci dev vscode codespace localhost localhost.localdomain
    torch python pytorch cuda cpu gpu nvidia attention attnprobe flash flex math eager xformers
    triton cudnn linux float32 float16 bfloat16 none causal
    """.split()  # noqa: SIM905 - a list of thirty quoted words would hide them
)


def _known_words(identity: Identity) -> re.Pattern[str] | None:
    names = {
        name
        for name in (*identity.users, *identity.hosts, *identity.addresses)
        if len(name) >= 3 and name.lower() not in _COMMON_NAMES
    }
    if not names:
        return None
    longest_first = sorted(names, key=len, reverse=True)
    joined = "|".join(map(re.escape, longest_first))
    return re.compile(rf"(?<![A-Za-z0-9])(?:{joined})(?![A-Za-z0-9])", re.IGNORECASE)


def _versions(report: Report) -> frozenset[str]:
    found = {fact.version for fact in report.backends}
    if report.environment:
        found |= {package.version for package in report.environment.packages}
        if torch := report.environment.torch:
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
    secret = isinstance(value, str) and re.fullmatch(rf"{_SECRET_NAME}|\w+_KEY", key, re.I)
    return _SECRET if secret else _mapped(value, scrub)


@cache
def _literal_fields(kind: type) -> frozenset[str]:
    hints = typing.get_type_hints(kind)
    return frozenset(n for n, hint in hints.items() if typing.get_origin(hint) is typing.Literal)
