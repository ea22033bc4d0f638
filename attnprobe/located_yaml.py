"""YAML as plain data, with the line and column that every key and value came from.

Only what JSON can say is read: mappings with string keys, lists, strings, numbers, booleans, null.
Nothing is constructed from tags, and what an alias repeats is counted as if it were written out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import yaml

from attnprobe.errors import UsageError

MAX_CHARACTERS = 64 * 1024
MAX_NODES = 20_000

Path = tuple[str | int, ...]

_TAG = "tag:yaml.org,2002:"
_SCALARS = ("int", "float", "bool", "null")
_TEXTS = ("str", "timestamp", "merge", "value")


@dataclass(frozen=True, order=True)
class Problem:
    """One thing that is wrong, and where: counted from 1, as editors do."""

    line: int
    column: int
    text: str

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}: {self.text}"


@dataclass
class Located:
    """Data and where it stands.

    Args:
        data: dicts, lists and scalars.
        keys: (line, column) of each mapping key, by path.
        values: (line, column) of each value, by path.
        problems: What YAML allows and a workload does not: duplicate keys, tags, keys that are no text.
    """

    data: Any = None
    keys: dict[Path, tuple[int, int]] = field(default_factory=dict)
    values: dict[Path, tuple[int, int]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def problem(self, path: Path, text: str, at_key: bool = False) -> Problem:
        """A problem at `path`, or at the nearest thing above it that was written."""
        table = self.keys if at_key else self.values
        while path not in table and path:
            table, path = self.values, path[:-1]
        return Problem(*table.get(path, (1, 1)), text)


def read(text: str, name: str) -> Located:
    """Reads one YAML document.

    Args:
        text: The document.
        name: What errors call it.

    Raises:
        UsageError: It is too long, too deep, or no YAML; its fix names the line and column.
    """
    if len(text) > MAX_CHARACTERS:
        raise UsageError(f"{name} is {len(text)} characters long; the limit is {MAX_CHARACTERS}")
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        located = Located()
        if root is not None:
            located.data = _Walk(located, name).read(root, ())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        why = " ".join(filter(None, (error.context, error.problem)))
        raise UsageError(f"{name} is not valid YAML", why=where + why) from None
    except yaml.YAMLError as error:
        why = str(error).splitlines()[0]
        raise UsageError(f"{name} is not valid YAML", why=why) from None
    except RecursionError:
        raise UsageError(f"{name} is nested too deeply to be a workload") from None
    return located


class _Walk:
    """Turns composed nodes into data, once per place they appear."""

    def __init__(self, located: Located, name: str) -> None:
        self.located, self.name = located, name
        self.construct = yaml.constructor.SafeConstructor()
        self.nodes = 0

    def read(self, node: yaml.Node, path: Path) -> Any:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise UsageError(f"{self.name} holds more than {MAX_NODES} values, aliases written out")
        self.located.values[path] = _place(node)
        if isinstance(node, yaml.MappingNode) and node.tag == _TAG + "map":
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode) and node.tag == _TAG + "seq":
            return [self.read(item, (*path, n)) for n, item in enumerate(node.value)]
        return self._scalar(node, path)

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = key_node.value
            if key_node.tag != _TAG + "str":
                self._complain(key_node, "a key must be plain text")
            elif key in data:
                self._complain(key_node, f"{key!r} is given twice")
            else:
                self.located.keys[(*path, key)] = _place(key_node)
                data[key] = self.read(value_node, (*path, key))
        return data

    def _scalar(self, node: yaml.Node, path: Path) -> Any:
        kind = node.tag.removeprefix(_TAG)
        if isinstance(node, yaml.ScalarNode) and kind in _TEXTS:
            return node.value
        if isinstance(node, yaml.ScalarNode) and kind in _SCALARS:
            try:
                return self.construct.construct_object(node)
            except (ValueError, KeyError):  # `!!int x`, or more digits than Python reads
                self._complain(node, f"{node.value[:40]!r} is not of type {kind}")
                return None
        self._complain(node, f"the tag {node.tag[:60]!r} is not used in workloads")
        return None

    def _complain(self, node: yaml.Node, text: str) -> None:
        self.located.problems.append(Problem(*_place(node), text))


def _place(node: yaml.Node) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1
