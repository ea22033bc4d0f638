"""What a target reads off the arguments of one call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from attnprobe.core.capture import CapturedMask, Layout, Recognition

Looked = Recognition | CapturedMask | None
"""What came of looking at a mask: an answer, one that is on its way, or that there is none."""


class Seen(NamedTuple):
    """One call's arguments, by their meaning.

    Attributes:
        q: Queries.
        k: Keys.
        v: Values.
        layout: What their dims mean.
        heads: (Hq, Hkv) where the layout does not tell.
        mask: The mask or bias as passed: a tensor, a library's object or None.
        flag: The mask that flags alone ask for, spelled as a Mask; empty without.
        dropout_p: Dropout probability.
        scale: Softmax scale; None is the default.
        is_causal: The flag as given.
        enable_gqa: The flag as given.
        softcap: Limit of a soft cap; None without.
        cu_q: Cumulative lengths of packed queries; None elsewhere.
        cu_kv: The same for keys.
        look: How to look at a mask that is no plain tensor; None takes it as one.
        said: Other arguments that matter, in words.
    """

    q: Any
    k: Any
    v: Any
    layout: Layout = "BHMK"
    heads: tuple[int, int] = (0, 0)
    mask: Any = None
    flag: str = ""
    dropout_p: float = 0.0
    scale: float | None = None
    is_causal: bool = False
    enable_gqa: bool = False
    softcap: float | None = None
    cu_q: Any = None
    cu_kv: Any = None
    look: Callable[[Seen], Looked] | None = None
    said: tuple[str, ...] = ()

    @property
    def flags(self) -> tuple[Any, ...]:
        """Everything but the tensors, to be compared."""
        return (
            self.heads,
            self.flag,
            self.dropout_p,
            self.scale,
            self.is_causal,
            self.enable_gqa,
            self.softcap,
            self.said,
        )

    @property
    def Mq(self) -> int:  # noqa: N802 - the field's name
        """Queries of each batch element."""
        return int(self.q.shape[_TOKENS[self.layout]])

    @property
    def Mkv(self) -> int:  # noqa: N802 - the field's name
        """Keys of each batch element."""
        return int(self.k.shape[_TOKENS[self.layout]])


_TOKENS = {"BHMK": -2, "BMHK": -3, "BMGHK": -4, "MHK": -3, "BMD": -2, "MBD": -3, "BMK": -2}


class Arguments(dict[str, Any]):
    """A call's arguments by name; what was not given has its default, or None.

    Args:
        names: The callable's parameters, in order.
        defaults: Those that are not None.
        args: As passed.
        kwargs: As passed.
    """

    def __init__(
        self,
        names: tuple[str, ...],
        defaults: Mapping[str, Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> None:
        super().__init__(defaults)
        self.update(zip(names, args, strict=False))
        self.update(kwargs)

    def __missing__(self, name: str) -> Any:
        return None


def number(value: Any, default: float | None = None) -> float | None:
    """A flag's value as a number, where it is one: symbolic and tensor values are not asked."""
    return float(value) if isinstance(value, (int, float)) else default


def spelled(left: Any, right: Any, align: str) -> str:
    """The window of flash-attn's and varlen's flags (-1 is unbounded) as a Mask is spelled."""
    low, high = (None if n is None or n < 0 else int(n) for n in (left, right))
    if low is None and high is None:
        return ""
    if low is None and high == 0:
        return f"causal(align={align})"
    words = ("none" if n is None else n for n in (low, high))
    return "sliding-window(left={}, right={}, align={})".format(*words, align)
