"""What a picture shows, before it is drawn: numbers in SI units, names, and how each is to be seen."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

from attnprobe.report import plain

Look = Literal["right", "unproven", "wrong"]
"""`unproven`: nobody compared it, the bound was too wide, or another kernel ran than was asked for."""

Fate = Literal["out of memory", "wrong", "withheld", "failed"]
"""Why a number is missing that a reader looks for; a wrong result is not timed."""

Unit = Literal["", "s", "B", "FLOP/s", "FLOP/B"]

NAMES, TITLES = 40, 100
"""Characters of a name and of a title that are drawn at most."""


@dataclass(frozen=True)
class Axis:
    """A logarithmic axis.

    Args:
        label: What it shows.
        unit: Of its values; empty for a plain number.
        at: Values that get a tick; empty leaves the choice to `ticks`.
    """

    label: str
    unit: Unit = ""
    at: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "label", plain.short(self.label, TITLES))


@dataclass(frozen=True)
class Point:
    """One measurement; all numbers are positive.

    Args:
        x: Where.
        y: The median.
        low: Lower end of its 95% interval; `y` where there is none.
        high: Upper end.
        look: Whether it may be believed.
        launch_bound: The GPU waited for the host.
    """

    x: float
    y: float
    low: float
    high: float
    look: Look = "right"
    launch_bound: bool = False


@dataclass(frozen=True)
class Series:
    """What one backend did.

    Args:
        name: Whose.
        slot: Number of the backend, the same in every picture of a session: its colour and marker.
        points: By `x`.
        missing: Every `x` at which there is no number, and why.
    """

    name: str
    slot: int
    points: tuple[Point, ...]
    missing: tuple[tuple[float, Fate], ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", plain.short(self.name, NAMES))


@dataclass(frozen=True)
class Limit:
    """A line that no measurement crosses: what any implementation needs, what the device can do.

    Args:
        name: What sets it.
        points: Corners of the line, by x.
    """

    name: str
    points: tuple[tuple[float, float], ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", plain.short(self.name, TITLES))


@dataclass(frozen=True)
class Chart:
    """Measurements over two logarithmic axes.

    Args:
        title: What is shown.
        subtitle: Of what, and of how many.
        x: The horizontal axis.
        y: The vertical axis.
        series: One a backend.
        limits: Lines that belong to none.
        joined: Whether the points of a series follow each other.
        remarks: What a reader must know of points that are not there.
    """

    title: str
    subtitle: str
    x: Axis
    y: Axis
    series: tuple[Series, ...]
    limits: tuple[Limit, ...] = ()
    joined: bool = True
    remarks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _shorten(self)

    @property
    def x_range(self) -> tuple[float, float]:
        """The least and greatest x of a series."""
        measured = (p.x for s in self.series for p in s.points)
        return _range((*measured, *(x for s in self.series for x, _ in s.missing)))

    @property
    def y_range(self) -> tuple[float, float]:
        """The least and greatest y that is to be seen, intervals and limits included."""
        points = [p for s in self.series for p in s.points]
        corners = (y for limit in self.limits for _, y in limit.points)
        return _range((*(p.low for p in points), *(p.high for p in points), *corners))

    @property
    def looks(self) -> tuple[Look, ...]:
        """Those that occur among the points."""
        return _looks(p.look for s in self.series for p in s.points)

    @property
    def fates(self) -> tuple[Fate, ...]:
        """Those that occur."""
        seen = {fate for s in self.series for _, fate in s.missing}
        order: tuple[Fate, ...] = get_args(Fate)
        return tuple(fate for fate in order if fate in seen)


@dataclass(frozen=True)
class Bar:
    """How fast one backend is, as a multiple of another.

    Args:
        name: Whose.
        slot: Number of the backend.
        value: time(rival) / time(backend); above 1 is faster.
        low: Lower end of its 95% interval.
        high: Upper end.
        look: Whether it may be believed.
    """

    name: str
    slot: int
    value: float
    low: float
    high: float
    look: Look = "right"

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", plain.short(self.name, NAMES))


@dataclass(frozen=True)
class Bars:
    """Speeds against one rival on one case.

    Args:
        title: What is shown.
        subtitle: Of what, and of how many.
        bars: The fastest first.
    """

    title: str
    subtitle: str
    bars: tuple[Bar, ...]

    def __post_init__(self) -> None:
        _shorten(self)

    @property
    def range(self) -> tuple[float, float]:
        """From the slowest to the fastest; 1 lies within."""
        return _range((1.0, *(b.low for b in self.bars), *(b.high for b in self.bars)))

    @property
    def looks(self) -> tuple[Look, ...]:
        """Those that occur."""
        return _looks(bar.look for bar in self.bars)


Figure = Chart | Bars


def _shorten(figure: Figure) -> None:
    object.__setattr__(figure, "title", plain.short(figure.title, TITLES))
    object.__setattr__(figure, "subtitle", plain.short(figure.subtitle, TITLES + 20))


def _range(values: Iterable[float]) -> tuple[float, float]:
    found = list(values)
    return min(found), max(found)


def _looks(found: Iterable[Look]) -> tuple[Look, ...]:
    seen = set(found)
    order: tuple[Look, ...] = get_args(Look)
    return tuple(look for look in order if look in seen)
