"""What a secret, a name, a place or a device number looks like, in the order of application.

Each pattern starts at a boundary and is bounded or cannot backtrack far, so that a hostile string
costs no more than its length.
"""

from __future__ import annotations

import re
from typing import NamedTuple

SECRET = "<secret>"


class Rule(NamedTuple):
    """A pattern and what takes its place."""

    pattern: re.Pattern[str]
    replacement: str


# Names of variables and fields that hold secrets. "tokens" and "tokenizer" are words of the field.
SECRET_NAME = (
    r"(?<![\w.-])[\w.-]{0,80}(?:token(?!s|iz)|secret|passwo?r?d|credential|authorization"
    r"|(?:api|access|private|auth)[_-]?key)[\w.-]{0,80}"
)
_VALUE = r"(?!\d{1,7}\b|<secret>)(?:\"[^\"]*\"|'[^']*'|[^\s\"',;]+)"
_START = r"(?<![A-Za-z0-9])"
_HEX = "[0-9A-Fa-f]"
_SEPARATOR = r"[/\\]+"
_PIECE = r"[^\s\"'=(,;:<>]"

# Issuers give their keys prefixes so that scanners find them:
# https://docs.github.com/en/code-security/secret-scanning/introduction/supported-secret-scanning-patterns
_KEYS = (
    r"hf_[A-Za-z0-9]{16,}",
    r"(?:sk|pk|rk)[-_][A-Za-z0-9_-]{16,}",
    r"gh[oprsu]_[A-Za-z0-9]{16,}",
    r"github_pat_\w{20,}",
    r"(?:glpat-|npm_|pypi-|xox[abeoprs]-|dop_v1_|nvapi-)[A-Za-z0-9_-]{10,}",
    r"(?:AKIA|ASIA|AGPA|AROA|AIDA)[A-Z0-9]{16}",
    r"AIza[A-Za-z0-9_-]{35}",
    r"eyJ[A-Za-z0-9_-]{8,2000}\.[A-Za-z0-9_-]{8,2000}(?:\.[A-Za-z0-9_-]*)?",
)

RULES = tuple(
    Rule(re.compile(pattern, flags), replacement)
    for pattern, replacement, flags in (
        # secrets
        (r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----.*?(?:-----END|\Z)", SECRET, re.DOTALL),
        (rf"{_START}(?:{'|'.join(_KEYS)})", SECRET, 0),
        (r"\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}", rf"\1 {SECRET}", re.IGNORECASE),
        (r"(://)[^/\s@]{1,400}@", rf"\1{SECRET}@", 0),
        (rf"({SECRET_NAME}[\"']?\s*[=:]\s*){_VALUE}", rf"\1{SECRET}", re.IGNORECASE),
        (rf"\b((?:[A-Z0-9]{{1,40}}_){{1,8}}KEY\s*=\s*){_VALUE}", rf"\1{SECRET}", 0),
        # people and machines
        (r"(?<![\w.+%-])[\w.+%-]{1,80}@(?:[\w-]{1,80}\.){1,8}[A-Za-z]{2,}", "<e-mail>", 0),
        (r"\bip-(?:\d{1,3}-){3}\d{1,3}\b", "<host>", 0),
        # devices
        (rf"\b(?:GPU-|MIG-)?{_HEX}{{8}}-(?:{_HEX}{{4}}-){{3}}{_HEX}{{12}}\b", "<uuid>", 0),
        (
            r"\b(serial(?:\s*(?:number|no\.?|nr\.?))?\s*[:=]?\s*)(?=[A-Z-]{0,20}\d)[A-Z0-9-]{6,}",
            r"\1<serial>",
            re.IGNORECASE,
        ),
        (
            rf"(?<![0-9A-Fa-f:-]){_HEX}{{2}}([:-])(?:{_HEX}{{2}}\1){{4}}{_HEX}{{2}}(?![0-9A-Fa-f:-])",
            "<mac>",
            0,
        ),
        # places; what lies before site-packages is of no use to anyone
        (
            rf"(?<!{_PIECE})(?:[A-Za-z]:)?{_PIECE}*[/\\]((?:site|dist)-packages){_SEPARATOR}",
            r"\1/",
            0,
        ),
        (
            rf"[A-Za-z]:{_SEPARATOR}Users{_SEPARATOR}"
            r"(?:[^/\\\r\n:*?\"<>|]{1,80}(?=[/\\])|[^\s/\\:*?\"<>|]+)",
            "~",
            re.IGNORECASE,
        ),
        (r"/(?:(?:var|mnt|export|data|nfs|net|c)/)*(?:home|Users)/[^/\s\"':,;)>\]]+", "~", 0),
        (r"(?<![\w/~.-])/root(?![\w-])", "~", 0),
    )
)

# Accounts that many machines share, and words of the field: taking them out would say nothing
# about a person and would spoil the report.
COMMON_NAMES = frozenset(
    """
    root user users admin administrator ubuntu debian centos fedora ec2-user runner docker jovyan app
    nobody guest test tester build builder ci dev vscode codespace localhost localhost.localdomain
    torch python pytorch cuda cpu gpu nvidia attention attnprobe flash flex math eager xformers
    triton cudnn linux float32 float16 bfloat16 none causal
    """.split()  # noqa: SIM905 - quoted one by one, the words would not be seen for the quotes
)
