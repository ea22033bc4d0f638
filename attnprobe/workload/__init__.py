"""A workload: named attention calls with the source of their shapes, read from YAML.

Everything that is wrong with a file is reported at once, each with its line, column and what would
be allowed.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from attnprobe.core.case import Case
from attnprobe.core.reported import Reported
from attnprobe.errors import UsageError
from attnprobe.located_yaml import Located, Path, read
from attnprobe.workload.case import case_of
from attnprobe.workload.fields import PATTERNS
from attnprobe.workload.reported import reported_of
from attnprobe.workload.spec import CaseSpec, FileSpec

MAX_CASES = 2000

_Spec = TypeVar("_Spec", bound=BaseModel)


@dataclass(frozen=True)
class Call:
    """One case of a workload and how the user's code runs it today.

    Args:
        case: The attention call; its device may still be `auto`.
        source: Where this shape comes from, when the file says so for each.
        backend: What the user's code calls today; empty when it does not say.
        calls_per_step: How often one training or inference step makes this call.
        ask: What `attnprobe check` asks: check, training, and experiments of `device/laboratory`.
        habits: What the code does around the call that no field of the case says (device/habits/).
    """

    case: Case
    source: str = ""
    backend: str = ""
    calls_per_step: int = 1
    ask: tuple[str, ...] = ("check",)
    habits: tuple[str, ...] = ()


@dataclass(frozen=True)
class Workload:
    """What a file says.

    Args:
        name: Its name.
        source: Where the shapes come from.
        about: In one line, what it is.
        backends: What `profile` compares unless told otherwise: backends, variants of layers, globs.
        reported: What sources measured of these cases.
        needs: What the user's model needs: bias_grad, lse, deterministic, dropout, compile.
        calls: All cases, grids expanded.
        notes: What the cases do not say of what they stand for.
        step_s: Seconds of one step of the script that the calls were seen in; None where that is not
            known.
    """

    name: str
    source: str = ""
    about: str = ""
    backends: tuple[str, ...] = ()
    reported: tuple[Reported, ...] = ()
    needs: Mapping[str, Any] = field(default_factory=dict)
    calls: tuple[Call, ...] = ()
    notes: tuple[str, ...] = ()
    step_s: float | None = None

    @property
    def cases(self) -> tuple[Case, ...]:
        """The attention calls alone."""
        return tuple(call.case for call in self.calls)

    def on(self, device: str, seed: int = 0) -> Workload:
        """The calls meant for `device` (`auto` becomes it), their seeds moved by `seed`."""
        calls = (
            replace(call, case=call.case.edit(device=device, seed=call.case.seed + seed))
            for call in self.calls
            if call.case.device in ("auto", device)
        )
        return replace(self, calls=tuple(calls))


def parse(text: str, name: str) -> Workload:
    """Reads a workload.

    Args:
        text: YAML.
        name: What errors call it.

    Raises:
        UsageError: With every problem on a line of its own.
    """
    located = read(text, name)
    reader = _Reader(located)
    workload = reader.workload()
    if reader.problems or workload is None:
        found = sorted(set(reader.problems))
        count = "a problem" if len(found) == 1 else f"{len(found)} problems"
        raise UsageError(
            f"workload {name} has {count}",
            why="\n     ".join(str(problem) for problem in found),
            fix="`attnprobe profiles check-quick` shows a workload that is sound",
        )
    return workload


class _Reader:
    """Collects problems instead of stopping at the first."""

    def __init__(self, located: Located) -> None:
        self.located = located
        self.problems = list(located.problems)

    def workload(self) -> Workload | None:
        data = self.located.data
        if not isinstance(data, dict):
            self._add((), "a workload is a mapping with `name` and `cases`")
            return None
        top = self._validate(FileSpec, data, ())
        given = data.get("defaults", {})
        defaults = (
            self._validate(CaseSpec, given, ("defaults",)) if isinstance(given, dict) else None
        )
        entries = data.get("cases")
        calls: list[Call] = []
        for n, entry in enumerate(entries if isinstance(entries, list) else ()):
            path = ("cases", n)
            spec = self._validate(CaseSpec, entry, path) if isinstance(entry, dict) else None
            if spec is None or defaults is None:
                continue
            calls += self._expand(_merge(defaults, spec), path)
            if len(calls) > MAX_CASES:
                self._add(path, f"the grids expand to more than {MAX_CASES} cases")
                break
        if top is None:
            return None
        reported = tuple(self._reported(top, calls))
        needs = top.needs.model_dump()
        return Workload(
            top.name, top.source, top.about, tuple(top.backends), reported, needs, tuple(calls)
        )

    def _reported(self, top: FileSpec, calls: list[Call]) -> Iterator[Reported]:
        cases = [call.case for call in calls]
        for n, source in enumerate(top.reported):
            for m, number in enumerate(source.numbers):
                found = reported_of(source, number, cases)
                if isinstance(found, Reported):
                    yield found
                elif cases:  # else all of them are unsound, which is said
                    self._add(("reported", n, "numbers", m, "case"), found)

    def _validate(self, kind: type[_Spec], data: object, path: Path) -> _Spec | None:
        try:
            return kind.model_validate(data)
        except ValidationError as error:
            allowed = [field.alias or name for name, field in kind.model_fields.items()]
            for detail in error.errors():
                at = (*path, *detail["loc"])
                unknown = detail["type"] == "extra_forbidden"
                self._add(at, _words(detail, allowed), at_key=unknown)
            return None

    def _expand(self, spec: CaseSpec, path: Path) -> Iterator[Call]:
        needed = ("Hq", "K") if spec.lengths or spec.q_lengths else ("Hq", "Mq", "K")
        missing = [name for name in needed if not getattr(spec, name)]
        if missing:
            self._add(path, f"{', '.join(missing)} missing, here and in defaults")
            return
        grid = {
            n: v for n in CaseSpec.model_fields if isinstance(v := getattr(spec, n), list) and v
        }
        del grid["ask"]
        grid.pop("habits", None)
        grid["grads"] = [tuple(spec.grads)]
        size = math.prod(len(values) for values in grid.values())
        if size > MAX_CASES:
            self._add(path, f"the grid expands to {size} cases; the limit is {MAX_CASES}")
            return
        for values in itertools.product(*grid.values()):
            found = case_of(dict(zip(grid, values, strict=True)), spec)
            if isinstance(found, Case):
                yield Call(
                    found,
                    spec.source,
                    spec.backend or "",
                    spec.calls_per_step,
                    tuple(spec.ask),
                    tuple(spec.habits),
                )
                continue
            for where, text in found:
                self._add((*path, where) if where else path, text)

    def _add(self, path: Path, text: str, at_key: bool = False) -> None:
        problem = self.located.problem(path, text, at_key)
        if all((p.line, p.column) != (problem.line, problem.column) for p in self.located.problems):
            self.problems.append(problem)  # what YAML cannot hold there has been said


def _merge(defaults: CaseSpec, spec: CaseSpec) -> CaseSpec:
    """The defaults, overridden by what the entry itself says."""
    return defaults.model_copy(update={name: getattr(spec, name) for name in spec.model_fields_set})


def _words(detail: ErrorDetails, allowed: list[str]) -> str:
    """One validation error in the words of the file: the field, what was found, what is allowed."""
    kind, found = detail["type"], repr(detail["input"])[:60]
    name = next((str(part) for part in reversed(detail["loc"]) if isinstance(part, str)), "")
    if kind == "extra_forbidden":
        near = get_close_matches(name, allowed, n=3, cutoff=0.5)
        advice = f"did you mean {', '.join(near)}?" if near else f"known: {', '.join(allowed)}"
        return f"unknown field {name[:60]!r}; {advice}"
    if kind == "missing":
        return f"{name} is missing"
    if kind == "literal_error":
        return f"{name} is {found}; allowed: {detail.get('ctx', {}).get('expected', '')}"
    if kind == "value_error":
        return f"{name}: {detail['msg'].removeprefix('Value error, ')}"
    if kind == "string_pattern_mismatch":
        return f"{name} is {found}; allowed: {PATTERNS[detail['ctx']['pattern']]}"
    message = detail["msg"][0].lower() + detail["msg"][1:]
    return f"{name} is {found}; {message.replace('input', 'it')}"
