"""A ring of context parallelism as a script: partial results merged by the library's log-sum-exp.

The chunks are those of device/laboratory/ring.py, and what is compared is the element that was worst
there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from attnprobe.core.case import Case
from attnprobe.core.mask import NONE, Mask
from attnprobe.core.outcome import Measured
from attnprobe.core.trial import Record
from attnprobe.errors import UsageError
from attnprobe.repro import calls, experiments, pairs
from attnprobe.repro.calls.base import Call

CHUNKS = 4
FEW = 2
"""As in device/laboratory/ring.py: chunks of a sequence, and keys of the chunk that all rows attend."""

CAUSAL = Mask(None, 0, "top-left")
LATE = Mask(None, 0, "bottom-right")

_WORST = re.compile(r"error \S+ at (\[\d+(?:, \d+){3}\]), at most ([\d.e+-]+)$")
_CHUNK = re.compile(r"query chunk (\d)")


@dataclass(frozen=True)
class Part:
    """A function of the script.

    Args:
        name: Its name.
        words: What its docstring begins with.
        case: The call that it makes.
        call: How the library is called.
        pairs: Lines that say who attends; empty where the call does not need them.
    """

    name: str
    words: str
    case: Case
    call: Call
    pairs: str


@dataclass(frozen=True)
class Chunk:
    """One call: which part, and where its queries and keys lie in the sequence.

    Args:
        name: Of the part.
        rows: First query, and how many.
        columns: First key, and how many.
        mask: Who attends.
    """

    name: str
    rows: tuple[int, int]
    columns: tuple[int, int]
    mask: Mask = NONE

    @property
    def line(self) -> str:
        """As the script's table has it; the last number is the diagonal up to which keys count."""
        late = self.columns[1] - self.rows[1] if self.mask == LATE else 0
        diagonal = self.columns[1] if self.mask.is_none else late
        return f"({self.name}, {', '.join(map(str, (*self.rows, *self.columns, diagonal)))})"


def ask(record: Record) -> tuple[Call, str]:
    """Everything that is imported, and the statements.

    Raises:
        UsageError: The library keeps its log-sum-exp to itself, or the session does not say where
            the merged output was wrong.
    """
    case, backend = record.trial.case, record.trial.backend
    at, limit, chunk = _worst(record)
    chunks = _empty_rows(case) if case.Mq > case.Mkv and not case.mask.is_none else _of(case, chunk)
    parts = {c.name: _part(c, case, backend) for c in chunks}
    imports = (line for p in parts.values() for line in (*p.call.imports, *p.call.lse_imports))
    kept = next(iter(parts.values())).call
    lines = [c.line for c in chunks]
    text = experiments.render(
        "ring", kinds=parts.values(), chunks=lines, case=case, at=at, limit=limit
    )
    return replace(kept, imports=tuple(dict.fromkeys(imports))), text


def _worst(record: Record) -> tuple[str, str, int]:
    """The index, the limit there and the chunk of queries; no index where nothing was merged."""
    outcome = record.outcome
    if not isinstance(outcome, Measured) or outcome.parity is None:
        return "", "", CHUNKS - 1
    said = " ".join(failure.message for failure in outcome.parity.failures)
    chunk, worst = _CHUNK.search(said), _WORST.search(said)
    if "of shape" in said:
        return "", "", 0
    if worst is None:
        raise UsageError(
            "this session does not say where the merged output was wrong",
            why="it was made by an older version, or the trial passed",
            fix="run `attnprobe check check-ring` again",
        )
    return worst[1], worst[2], int(chunk[1]) if chunk else 0


def _of(case: Case, c: int) -> list[Chunk]:
    """One chunk of queries and all chunks of keys that it attends."""
    rows, columns = case.Mq // CHUNKS, case.Mkv // CHUNKS
    return [
        Chunk("diagonal", (c * rows, rows), (j * columns, columns), CAUSAL)
        if case.mask.is_causal and j == c
        else Chunk("whole", (c * rows, rows), (j * columns, columns))
        for j in range(c + 1 if case.mask.is_causal else CHUNKS)
    ]


def _empty_rows(case: Case) -> list[Chunk]:
    """Keys of which the first queries attend none, and few keys that all attend."""
    rows = (0, case.Mq)
    return [Chunk("late", rows, (0, case.Mkv), LATE), Chunk("whole", rows, (0, FEW))]


_WORDS = {
    "diagonal": "Causal attention of a chunk to itself",
    "whole": "Attention of a chunk to all keys of another",
    "late": "Causal attention to fewer keys than queries",
}


def _part(chunk: Chunk, case: Case, backend: str) -> Part:
    sizes = {"Mq": chunk.rows[1], "Mkv": chunk.columns[1], "mask": chunk.mask}
    own = case.edit(**sizes, mask_form="best", layout="BHMK", passes="fwd")
    call = calls.write(own, backend)
    if not call.lse:
        raise UsageError(
            "the merge of a ring cannot be shown in a script",
            why=f"{backend} keeps its log-sum-exp to itself in this call",
        )
    needed = re.search(r"\b(allowed|attends|alibi)\b", call.setup + call.lse)
    return Part(chunk.name, _WORDS[chunk.name], own, call, pairs.lines(own) if needed else "")
