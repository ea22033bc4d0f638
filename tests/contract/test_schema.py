"""The JSON Schema that editors get agrees with the reader: no sound file is marked, mistakes are."""

from __future__ import annotations

import re
from typing import Any

import pytest

from attnprobe import profiles
from attnprobe.errors import UsageError
from attnprobe.located_yaml import read
from attnprobe.workload import parse
from attnprobe.workload.schema import json_schema

SCHEMA = json_schema()

TYPES = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "null": type(None),
    "integer": int,
    "number": (int, float),
}
USED = {
    *("$defs", "$ref", "type", "properties", "required", "additionalProperties", "items", "anyOf"),
    *("enum", "pattern", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minItems"),
    *("maxItems", "minLength", "maxLength", "propertyNames", "default", "title", "description"),
}
"""The keywords that `accepts` knows, and those that say nothing about validity."""


def accepts(schema: dict[str, Any], data: Any) -> bool:
    """A validator of just the keywords that the schema uses."""
    if "$ref" in schema:
        return accepts(SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]], data)
    if "anyOf" in schema and not any(accepts(option, data) for option in schema["anyOf"]):
        return False
    if "enum" in schema and data not in schema["enum"]:
        return False
    kind = schema.get("type")
    if kind and not isinstance(data, TYPES[kind]):
        return False
    if kind in ("integer", "number"):
        return not isinstance(data, bool) and in_range(schema, data)
    if kind == "string":
        size = schema.get("minLength", 0) <= len(data) <= schema.get("maxLength", 10**9)
        return size and bool(re.search(schema.get("pattern", ""), data))
    if kind == "array":
        size = schema.get("minItems", 0) <= len(data) <= schema.get("maxItems", 10**9)
        return size and all(accepts(schema["items"], item) for item in data)
    if kind == "object":
        return accepts_object(schema, data)
    return True


def in_range(schema: dict[str, Any], data: float) -> bool:
    return (
        schema.get("minimum", data) <= data <= schema.get("maximum", data)
        and ("exclusiveMinimum" not in schema or data > schema["exclusiveMinimum"])
        and ("exclusiveMaximum" not in schema or data < schema["exclusiveMaximum"])
    )


def accepts_object(schema: dict[str, Any], data: dict[str, Any]) -> bool:
    known, further = schema.get("properties", {}), schema.get("additionalProperties", True)
    for key, value in data.items():
        if not accepts(schema.get("propertyNames", {}), key):
            return False
        if key in known:
            sound = accepts(known[key], value)
        else:
            sound = further if isinstance(further, bool) else accepts(further, value)
        if not sound:
            return False
    return all(key in data for key in schema.get("required", ()))


def keywords(schema: Any) -> set[str]:
    """Every keyword of the schema; names of properties and definitions are none."""
    if isinstance(schema, list):
        return set().union(*map(keywords, schema))
    if not isinstance(schema, dict):
        return set()
    found = set(schema)
    for key, value in schema.items():
        inner = list(value.values()) if key in ("properties", "$defs") else value
        found |= set() if key in ("default", "enum") else keywords(inner)
    return found


def test_the_schema_holds_no_keyword_that_these_tests_overlook():
    """Otherwise they would prove less than they seem to."""
    assert keywords(SCHEMA) <= USED


@pytest.mark.parametrize("name", profiles.names())
def test_no_shipped_workload_is_marked(name: str):
    """An editor finds nothing to complain of in what ships, short forms included."""
    data = read(profiles.text(name), name).data
    floats = ("value", "scale", "softcap")  # YAML 1.1 takes 4e9 for text, editors read YAML 1.2

    def as_editors_do(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {k: as_editors_do(v, k) for k, v in value.items()}
        if isinstance(value, list):
            return [as_editors_do(item, key) for item in value]
        return float(value) if key in floats and isinstance(value, str) else value

    assert accepts(SCHEMA, as_editors_do(data))


@pytest.mark.parametrize(
    "line",
    [
        "cases: [{Hq: 4, Mq: 16, K: 8, dtpye: float32}]",
        "cases: [{Hq: 4, Mq: 16, K: 8, dtype: bf16}]",
        "cases: [{Hq: 4, Mq: 16, K: 0}]",
        "cases: [{Hq: 4, Mq: 16, K: eight}]",
        "cases: [{Hq: 4, Mq: [], K: 8}]",
        "cases: [{Hq: 4, Mq: 16, K: 8, pass: forward}]",
        "cases: [{Hq: 4, Mq: 16, K: 8, dropout_p: 1.0}]",
        "cases: [{Hq: 4, Mq: 16, K: 8, softcap: -1.0}]",
        "cases: [{Hq: 4, Mq: 16, K: 8, module: mha}]",
        "cases: []",
        "casse: [{Hq: 4, Mq: 16, K: 8}]",
        "cases: [{Hq: 4, Mq: 16, K: 8}]\nneeds: {speed: true}",
        "cases: [{Hq: 4, Mq: 16, K: 8}]\nreported: [{url: ftp, machine: A100, numbers: []}]",
    ],
)
def test_a_mistake_is_marked_by_both(line: str):
    """What the reader refuses for its form, the editor marks while it is typed."""
    text = f"name: w\n{line}\n"
    with pytest.raises(UsageError):
        parse(text, "w.yaml")
    assert not accepts(SCHEMA, read(text, "w.yaml").data)


def test_every_field_says_what_it_means():
    """Completion without an explanation is half of it."""
    parts = [SCHEMA, *SCHEMA["$defs"].values()]
    silent = [name for part in parts for name, field in part["properties"].items()
              if not field.get("description")]  # fmt: skip
    assert silent == []
