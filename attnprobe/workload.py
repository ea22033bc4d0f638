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

from attnprobe import masks
from attnprobe.core.case import Case, Lengths
from attnprobe.core.score import Bias, Score
from attnprobe.errors import AttnprobeError, UsageError
from attnprobe.located_yaml import Located, Path, read
from attnprobe.workload_spec import CaseSpec, FileSpec

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
    """

    case: Case
    source: str = ""
    backend: str = ""
    calls_per_step: int = 1
    ask: tuple[str, ...] = ("check",)


@dataclass(frozen=True)
class Workload:
    """What a file says.

    Args:
        name: Its name.
        source: Where the shapes come from.
        reported: What that source measured, as written.
        needs: What the user's model needs: bias_grad, lse, deterministic, dropout.
        calls: All cases, grids expanded.
    """

    name: str
    source: str = ""
    reported: Mapping[str, Any] = field(default_factory=dict)
    needs: Mapping[str, Any] = field(default_factory=dict)
    calls: tuple[Call, ...] = ()

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
        needs = top.needs.model_dump()
        return Workload(top.name, top.source, top.reported, needs, tuple(calls))

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
        missing = [name for name in ("Hq", "Mq", "K") if not getattr(spec, name)]
        if missing:
            self._add(path, f"{', '.join(missing)} missing, here and in defaults")
            return
        grid = {
            n: v for n in CaseSpec.model_fields if isinstance(v := getattr(spec, n), list) and v
        }
        del grid["ask"]
        grid["grads"] = [tuple(spec.grads)]
        size = math.prod(len(values) for values in grid.values())
        if size > MAX_CASES:
            self._add(path, f"the grid expands to {size} cases; the limit is {MAX_CASES}")
            return
        for values in itertools.product(*grid.values()):
            case = self._case(dict(zip(grid, values, strict=True)), spec, path)
            if case is not None:
                yield Call(case, spec.source, spec.backend, spec.calls_per_step, tuple(spec.ask))

    def _case(self, point: dict[str, Any], spec: CaseSpec, path: Path) -> Case | None:
        """One point of the grid, or None and a problem."""
        point.setdefault("Hkv", point["Hq"])
        point.setdefault("Mkv", point["Mq"])
        point.setdefault("Kv", point["K"])
        lengths = _lengths(point)
        square = point["Mq"] == point["Mkv"] and (lengths is None or lengths.q == lengths.kv)
        bias = point.pop("bias")
        score = Score(
            scale=point.pop("scale"),
            softcap=point.pop("softcap"),
            alibi=point.pop("alibi"),
            bias=Bias.parse(bias.shape, bias.requires_grad, bias.dtype, bias.forbids)
            if bias
            else None,
        )
        try:
            mask = masks.parse(point.pop("mask"), square)
        except AttnprobeError as error:
            self._add((*path, "mask"), "; ".join(filter(None, (error.what, error.why, error.fix))))
            return None
        case = Case(
            **point, mask=mask, score=score, lengths=lengths, device=spec.device, name=spec.name
        )
        for problem in case.problems:
            self._add(path, problem)
        return None if case.problems else case

    def _add(self, path: Path, text: str, at_key: bool = False) -> None:
        problem = self.located.problem(path, text, at_key)
        if all((p.line, p.column) != (problem.line, problem.column) for p in self.located.problems):
            self.problems.append(problem)  # what YAML cannot hold there has been said


def _merge(defaults: CaseSpec, spec: CaseSpec) -> CaseSpec:
    """The defaults, overridden by what the entry itself says."""
    return defaults.model_copy(update={name: getattr(spec, name) for name in spec.model_fields_set})


def _lengths(point: dict[str, Any]) -> Lengths | None:
    """Takes the length fields out of a grid point; a side that is not given is full."""
    q, kv = point.pop("q_lengths", None), point.pop("kv_lengths", None)
    storage, tail = point.pop("storage"), point.pop("tail")
    if q is None and kv is None and storage == "padded" and tail == 0:
        return None
    B = point["B"]
    q = [point["Mq"]] * B if q is None else q
    kv = [point["Mkv"]] * B if kv is None else kv
    return Lengths(tuple(q), tuple(kv), storage, tail)


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
        return f"{name} is {found}; allowed: 1 to 80 letters, digits, spaces and . , : ; + ( ) / & = - _"
    message = detail["msg"][0].lower() + detail["msg"][1:]
    return f"{name} is {found}; {message.replace('input', 'it')}"
