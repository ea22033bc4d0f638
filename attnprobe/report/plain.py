"""Text from anywhere, made safe to show: one line or several, printable, of bounded length.

A session file may come from a stranger, and even an honest one holds what libraries printed. What
leaves here holds no terminal control, no direction override, no lone surrogate and no line break
that was not asked for. Escaping for a *format* (HTML, Markdown) stays with its renderer.
"""

from __future__ import annotations

import re

# ECMA-48, sections 5.4 and 5.6: control sequences (CSI ... final byte) and control strings (OSC,
# DCS, SOS, PM, APC up to ST or BEL), with 7-bit and 8-bit introducers.
_ESCAPES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)"
    r"|\x1b[ -/]*[0-~]"
)

LINE_LIMIT = 600
BLOCK_LIMIT = 4000


def without_escapes(text: str) -> str:
    """The text without terminal control sequences: colour is not information."""
    return _ESCAPES.sub("", text)


def line(text: str, limit: int = LINE_LIMIT) -> str:
    r"""One printable line; what cannot be printed is spelled out, e.g. `\u202e`."""
    spelled = _spelled(re.sub(r"[^\S ]+", " ", without_escapes(text[: 8 * limit])))
    if len(spelled) <= limit and len(text) <= 8 * limit:
        return spelled
    return f"{spelled[:limit]}... ({len(text):,} characters in all)"


def short(text: str, limit: int) -> str:
    """One printable line of at most `limit` characters, for a name that must keep its place."""
    made = line(text)
    return made if len(made) <= limit else f"{made[: limit - 3]}..."


def block(text: str, limit: int = BLOCK_LIMIT) -> str:
    """Several printable lines; of a long text the end, where a traceback says what happened."""
    tail = without_escapes(text[-8 * limit :]).expandtabs(4)
    kept = "\n".join(_spelled(each.rstrip()) for each in re.split(r"\r\n|\r|\n", tail)).strip("\n")
    if len(kept) <= limit and len(text) <= 8 * limit:
        return kept
    return f"... ({len(text):,} characters in all)\n{kept[-limit:]}"


def _spelled(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _escape(c) for c in text)


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
