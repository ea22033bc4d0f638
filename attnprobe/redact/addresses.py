"""IP addresses, told apart from versions, C++ names and times of day."""

from __future__ import annotations

import ipaddress
import re

_IPV4 = re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?!\.?\d)")
_IPV6 = re.compile(r"(?<![\w:.])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?![\w:])")

# What stands before a version: a comparison, a name joined by - or _, a v, `.so.`, or a word that
# versions follow. `10.3.9.90` is a release of nvidia-curand-cu12 and a private address.
_BEFORE_VERSION = re.compile(
    r"(?:[=<>~!]=?\s*|[a-z0-9][-_]|\bv|\.so\.|\b(?:version|release|cuda|cudnn|nccl|cublas\w*|curand"
    r"|cufft|cusparse\w*|cusolver|cudart|nvrtc|nvjitlink|toolkit|driver|torch|triton|xformers"
    r"|[\w-]{1,60}-cu\d\d)[\s:(=]{1,9})$",
    re.IGNORECASE,
)
_BEFORE_ADDRESS = re.compile(
    r"(?:addr\w*|host\w*|ip|peer|server|from|to|at)\s*=\s*$", re.IGNORECASE
)


def removed(text: str, versions: frozenset[str] = frozenset()) -> str:
    """The text with `<ip>` for every address of either family.

    Args:
        text: Any text.
        versions: Strings that are known to be versions.
    """
    text = _IPV6.sub(_without_ipv6, text)
    return _IPV4.sub(lambda match: _without_ipv4(match, versions), text)


def _without_ipv4(match: re.Match[str], versions: frozenset[str]) -> str:
    text, before = match[0], match.string[max(0, match.start() - 80) : match.start()]
    if max(int(part) for part in text.split(".")) > 255:
        return text
    followed = match.string[match.end() : match.end() + 1]
    if followed in (":", "/") or _BEFORE_ADDRESS.search(before):
        return "<ip>"
    return text if text in versions or _BEFORE_VERSION.search(before) else "<ip>"


def _without_ipv6(match: re.Match[str]) -> str:
    text = match[0]
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return text
    groups = [group for group in text.split(":") if group]
    # `c10::d` in a C++ name is a valid address; a real one is longer or begins like one:
    # fe8, fc and fd are local, 2 and 3 global (RFC 4291, section 2.4; RFC 4193, section 3)
    real = len(groups) >= 3 or text.lower().startswith(("fe8", "fc", "fd", "2", "3"))
    return "<ip>" if real else text
