"""Which (query, key) pairs may attend: a band of diagonals, an alignment and predicates."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal, get_args

Align = Literal["top-left", "bottom-right"]


def spelling(name: str, arguments: Mapping[str, object]) -> str:
    """`name(key=value, ...)`: how a mask is written in YAML, on the command line and in records."""
    given = ", ".join(
        f"{key}={'none' if value is None else value}" for key, value in arguments.items()
    )
    return f"{name}({given})" if given else name


@dataclass(frozen=True)
class Predicate(ABC):
    """What a band of diagonals cannot say. One subclass per file of `masks/`.

    Attributes:
        aligned: Whether `allows` depends on `shift`, and so on the mask's alignment.
    """

    aligned: ClassVar[bool] = True

    @abstractmethod
    def allows(self, i: Any, j: Any, shift: Any) -> Any:
        """True where query `i` may attend key `j`; the aligned diagonal is `j == i + shift`.

        Uses arithmetic, comparisons, `&` and `|` alone, so that the same line serves Python ints,
        broadcast integer tensors and a flex `mask_mod` under vmap, where integers have 32 bits.
        """

    @property
    @abstractmethod
    def name(self) -> str:
        """The name of the constructor in `masks/`, as written in YAML."""

    def text(self, align: Align) -> str:
        """How a mask of this predicate alone is spelled: `dilated(step=2, align=top-left)`."""
        arguments = {f.name: getattr(self, f.name) for f in fields(self)}
        return spelling(self.name, arguments | ({"align": align} if self.aligned else {}))


@dataclass(frozen=True)
class Mask:
    """Query `i` may attend key `j` when `-left <= j - (i + shift) <= right` and every predicate agrees.

    `shift` is 0 for top-left alignment and `Mkv - Mq` for bottom-right. A window of `left=3` holds
    four keys: the diagonal and three before it.

    Args:
        left: Keys before the aligned diagonal, inclusive; None is unbounded.
        right: Keys after it, inclusive; None is unbounded, 0 is causal.
        align: Where the diagonal starts when Mq != Mkv. Required: libraries disagree on it. A mask
            that does not depend on it is stored as top-left, so that equal masks compare equal.
        predicates: Further conditions; all must hold.
    """

    left: int | None
    right: int | None
    align: Align
    predicates: tuple[Predicate, ...] = ()

    def __post_init__(self) -> None:
        if self.align not in get_args(Align):
            raise ValueError(f"align is {self.align!r}; it must be top-left or bottom-right")
        if self.left is not None and self.right is not None and self.left + self.right < 0:
            raise ValueError(f"window({self.left}, {self.right}) allows no key at all")
        if not self.is_aligned:
            object.__setattr__(self, "align", "top-left")

    @property
    def is_none(self) -> bool:
        """True when every key may be attended."""
        return self.left is None and self.right is None and not self.predicates

    @property
    def is_aligned(self) -> bool:
        """True when the alignment matters: there is a band, or a predicate that looks at it."""
        return (
            self.left is not None
            or self.right is not None
            or any(predicate.aligned for predicate in self.predicates)
        )

    @property
    def is_band(self) -> bool:
        """True when the band alone says everything."""
        return not self.predicates

    @property
    def is_causal(self) -> bool:
        """True for the plain causal mask: everything up to the aligned diagonal."""
        return self.left is None and self.right == 0 and not self.predicates

    def shift(self, Mq: int, Mkv: int) -> int:
        """Column of the aligned diagonal in row 0."""
        return 0 if self.align == "top-left" else Mkv - Mq

    def allows(self, i: Any, j: Any, Mq: Any, Mkv: Any) -> Any:
        """The definition that every lowering is tested against.

        Args:
            i: Query index, an int or an integer tensor.
            j: Key index, an int or an integer tensor that broadcasts with `i`.
            Mq: Number of queries of this sequence.
            Mkv: Number of keys of this sequence.
        """
        shift = 0 if self.align == "top-left" else Mkv - Mq
        allowed = (i >= 0) & (j >= 0)
        if self.left is not None:  # one side per tensor: no integer tensor of Mq x Mkv is made
            allowed = allowed & (j >= i + shift - self.left)
        if self.right is not None:
            allowed = allowed & (j <= i + shift + self.right)
        for predicate in self.predicates:
            allowed = allowed & predicate.allows(i, j, shift)
        return allowed

    def is_idle(self, Mq: int, Mkv: int) -> bool:
        """True when a band forbids nothing at these lengths: bottom-right causal with one query, say.

        A band lies between two diagonals, so the corners farthest from it tell.
        """
        corners = self.allows(0, Mkv - 1, Mq, Mkv) & self.allows(Mq - 1, 0, Mq, Mkv)
        return self.is_band and bool(corners)

    def __and__(self, other: Mask) -> Mask:
        """Both masks at once: the tighter band and all predicates.

        Raises:
            ValueError: The two are aligned differently and both depend on their alignment.
        """
        if self.is_aligned and other.is_aligned and self.align != other.align:
            raise ValueError(f"cannot combine {self.text} with {other.text}: alignments differ")
        left = min((x for x in (self.left, other.left) if x is not None), default=None)
        right = min((x for x in (self.right, other.right) if x is not None), default=None)
        new = tuple(p for p in other.predicates if p not in self.predicates)
        align = self.align if self.is_aligned else other.align
        return Mask(left, right, align, self.predicates + new)

    @property
    def text(self) -> str:
        """The spelling that `attnprobe.masks.parse` reads back, e.g. `causal(align=top-left)`."""
        parts = []
        if self.left is None and self.right == 0:
            parts.append(spelling("causal", {"align": self.align}))
        elif self.left is not None or self.right is not None:
            band = {"left": self.left, "right": self.right, "align": self.align}
            parts.append(spelling("sliding-window", band))
        parts += [predicate.text(self.align) for predicate in self.predicates]
        return " & ".join(parts) or "none"

    def picture(self, Mq: int, Mkv: int) -> str:
        """The mask drawn: one row per query, `1` where the key is attended and `.` where not."""
        rows = (
            " ".join("1" if self.allows(i, j, Mq, Mkv) else "." for j in range(Mkv))
            for i in range(Mq)
        )
        return "\n".join(rows)

    def empty_rows(self, Mq: int, Mkv: int) -> tuple[int, ...]:
        """Queries that may attend no key at all (libraries disagree on what those return)."""
        return tuple(
            i for i in range(Mq) if not any(self.allows(i, j, Mq, Mkv) for j in range(Mkv))
        )


NONE = Mask(None, None, "top-left")
