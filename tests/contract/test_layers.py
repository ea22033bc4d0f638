"""Imports point down: the table of layers, held against the import statements of every module."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "attnprobe"

SHARED = {"errors", "core", "masks"}
CHILD = SHARED | {"device", "worker"}
LISTS = {"device.backends", "device.habits", "device.laboratory", "device.modules"}
"""The __init__ of these folders only lists names."""

HOST_BASE = {*SHARED, *LISTS, "", "worker"}
"""What host layers may all use."""

LAYERS: dict[str, set[str]] = {
    "": set(),
    "errors": set(),
    "core": {"errors"},
    "masks": SHARED,
    "located_yaml": SHARED,
    "lengths": {"errors"},
    "workload": {*HOST_BASE, "lengths", "located_yaml"},
    "profiles": {*SHARED, "located_yaml", "workload", "capture.load", "capture.replay"},
    "plan": {*HOST_BASE, "known_bugs", "workload"},
    "redact": {*HOST_BASE, "report"},
    "probe": HOST_BASE,
    "remedies": SHARED,
    "worker": CHILD,
    "device": CHILD,
    "session": HOST_BASE,
    "info": {*HOST_BASE, "probe", "remedies"},
    "known_bugs": SHARED,
    "compare": SHARED,
    "pitfalls": {*SHARED, "", "diagnosis.rule", "diagnosis.situation", "remedies"},
    "diagnosis": {*HOST_BASE, "pitfalls", "profiling.duration", "survey", "workload"},
    "report": {*HOST_BASE, "compare", "diagnosis", "known_bugs"},
    "crew": {*HOST_BASE, "probe"},
    "minimise": SHARED,
    "repro": {*SHARED, "report", "known_bugs", "device.lowering.band"},
    "telemetry": {*HOST_BASE, "info", "probe"},
    "profiling": {
        *HOST_BASE,
        "device.modules",
        "lengths",
        "plan",
        "probe",
        "session",
        "survey",
        "workload",
    },
    "survey": {*HOST_BASE, "crew", "info", "plan", "redact", "session", "telemetry", "workload"},
    "upgrade": {*SHARED, "compare", "report", "session"},
    "kernel_tests": {*HOST_BASE, "info", "plan", "profiles", "report", "survey"},
    "pytest_plugin": {*SHARED, "worker", "kernel_tests", "device.answer"},
    "capture": {*HOST_BASE, "info", "redact", "report", "session", "workload", "device.facts"},
    "cli": {"*"},
    "__main__": {"cli"},
}

CHILD_LAYERS = {"core", "masks", "errors", "device"}
"""Run in a foreign environment that has torch and nothing of ours; so does most of `worker`."""

HOST_OF_CAPTURE = ("capture.load", "capture.launch", "capture.finish", "capture.replay")
"""The rest of `capture` runs in the process of the captured script: torch and the standard library."""

DIAGNOSED = {"torch", "triton", "xformers", "flash_attn", "mslk"}
"""What backends import lazily because it is what they measure."""


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def dotted(path: Path) -> str:
    parts = list(path.relative_to(PACKAGE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(path: Path) -> Iterator[str]:
    """Every module that a file imports at run time, as written; `from a import b` gives a and a.b."""
    tree = ast.parse(path.read_text())
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for statement in node.body
        for inner in ast.walk(statement)
    }
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            for alias in node.names:
                deeper = f"{node.module}.{alias.name}"
                own = PACKAGE.parent / deeper.replace(".", "/")
                yield (
                    deeper if own.is_dir() or own.with_suffix(".py").is_file() else str(node.module)
                )


def ours(path: Path) -> set[str]:
    """The attnprobe modules that a file imports, without the leading `attnprobe.`."""
    found = (n for n in imported(path) if n.split(".")[0] == "attnprobe")
    return {name.partition(".")[2] for name in found}


def layer(module: str) -> str:
    return module.split(".")[0]


def in_the_script(path: Path) -> bool:
    return layer(dotted(path)) == "capture" and not dotted(path).startswith(HOST_OF_CAPTURE)


def forbidden(path: Path) -> list[str]:
    """What a file imports and its layer may not."""
    mine = layer(dotted(path))
    allowed = LAYERS[mine] | {mine}
    return [
        name
        for name in sorted(ours(path))
        if "*" not in allowed and layer(name) not in allowed and name not in allowed
    ]


@pytest.mark.parametrize("path", modules(), ids=dotted)
def test_imports_point_down(path: Path):
    """Each module imports only what the table allows for its layer."""
    assert layer(dotted(path)) in LAYERS, f"{dotted(path)} is in no layer: add it to the table"
    assert forbidden(path) == []


@pytest.mark.parametrize(
    "path",
    [p for p in modules() if layer(dotted(p)) in CHILD_LAYERS or in_the_script(p)],
    ids=dotted,
)
def test_the_child_needs_nothing_but_torch(path: Path):
    """Records, masks and the device half import the standard library, torch and what they measure."""
    allowed = {
        *sys.stdlib_module_names,
        *DIAGNOSED,
        "attnprobe",
        "memory_efficient_attention_pytorch",
    }
    assert {name.split(".")[0] for name in imported(path)} <= allowed


@pytest.mark.parametrize(
    "path",
    [p for p in modules() if layer(dotted(p)) != "device" and not in_the_script(p)],
    ids=dotted,
)
def test_torch_is_imported_in_the_device_half_alone(path: Path):
    """Neither at the top of a host module nor inside its functions; the child's own modules may."""
    child = {
        "worker.child",
        "worker.preload",
        "worker.bootstrap",
        "worker.guard",
        "worker.forkserver",
    }
    found = {name.split(".")[0] for name in imported(path)} & DIAGNOSED
    assert not found or dotted(path) in child


def test_a_forbidden_import_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The walk itself works: a core module that imports the command line is reported."""
    monkeypatch.setattr(sys.modules[__name__], "PACKAGE", tmp_path / "attnprobe")
    planted = tmp_path / "attnprobe" / "core" / "bad.py"
    planted.parent.mkdir(parents=True)
    planted.write_text("def f():\n    from attnprobe.cli import main\n    return main\n")
    assert forbidden(planted) == ["cli"]
