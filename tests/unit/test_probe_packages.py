"""Distributions are read from disk, in this interpreter and in a foreign one, without importing them."""

from __future__ import annotations

import ast
import inspect
import json
import sys
from pathlib import Path

import pytest

from attnprobe.probe import inventory, packages


def install(site: Path, name: str, version: str, files: dict[str, str], **more: str) -> None:
    """Writes a distribution as pip leaves it: files, METADATA, WHEEL, RECORD."""
    info = f"{name.replace('-', '_')}-{version}.dist-info"
    told = {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nTag: cp312-abi3-linux_x86_64\n",
        **{f"{info}/{file}": text for file, text in more.items()},
        **files,
    }
    for file, text in told.items():
        (site / file).parent.mkdir(parents=True, exist_ok=True)
        (site / file).write_text(text)
    (site / info / "RECORD").write_text("".join(f"{file},,\n" for file in told))


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of distributions that is all this interpreter sees."""
    built = json.dumps({"version": {"torch": "2.10.0+cu128", "cuda": 1208}})
    install(
        tmp_path,
        "xformers",
        "0.0.35",
        {
            "xformers/__init__.py": "raise SystemExit",
            "xformers/_C.so": "",
            "xformers/cpp_lib.json": built,
        },
    )
    install(tmp_path, "flash-attn-4", "4.0.0b36", {"flash_attn/cute/__init__.py": ""})
    install(tmp_path, "Triton_Windows", "3.2", {"triton/__init__.py": ""})
    install(tmp_path, "requests", "2.0", {"requests/__init__.py": ""})
    editable = json.dumps({"url": "file:///x", "dir_info": {"editable": True}})
    install(
        tmp_path,
        "flash-attn",
        "2.8.3",
        {"flash_attn_2_cuda.so": ""},
        **{"direct_url.json": editable},
    )
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    return tmp_path


def test_what_matters_is_listed(site: Path) -> None:
    """Attention packages and their neighbours by normalised name; nothing else."""
    found = {p.name: p for p in packages.installed().packages}
    assert set(found) == {"xformers", "flash-attn", "flash-attn-4", "triton-windows"}
    assert found["xformers"].version == "0.0.35"
    assert found["xformers"].build == "cp312-abi3-linux_x86_64; built for torch 2.10.0+cu128"


def test_import_names_tell_who_shares_one(site: Path) -> None:
    """Top-level modules and folders, extension modules by their bare name."""
    found = {p.name: p.provides for p in packages.installed().packages}
    assert found["flash-attn-4"] == ("flash_attn",)
    assert found["flash-attn"] == ("flash_attn_2_cuda",)


def test_editable_installs_are_marked(site: Path) -> None:
    """PEP 610's direct_url.json says so."""
    assert [p.name for p in packages.installed().packages if p.editable] == ["flash-attn"]


def test_extensions_are_found_with_their_owner(site: Path) -> None:
    """They are what probe/libraries.py reads."""
    assert (str(site / "xformers/_C.so"), "xformers") in packages.installed().extensions


def test_a_damaged_distribution_is_a_gap(site: Path) -> None:
    """One unreadable folder does not hide the others."""
    (site / "flash_attn-2.8.3.dist-info/direct_url.json").write_text("{")
    found = packages.installed()
    assert "xformers" in {p.name for p in found.packages}
    assert any("flash_attn-2.8.3" in gap for gap in found.gaps)


def test_a_foreign_interpreter_is_asked(
    site: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With PYTHONPATH, without attnprobe, and not from the current folder: as from within."""
    here = tmp_path_factory.mktemp("current")
    (here / "json.py").write_text("raise SystemExit('imported from the current folder')")
    within = packages.installed()
    monkeypatch.setenv("PYTHONPATH", str(site))
    monkeypatch.chdir(here)
    python = sys.executable
    monkeypatch.setattr(sys, "executable", "/another/python")
    found = packages.installed(python)
    assert found.gaps == ()
    assert found.python == ".".join(map(str, sys.version_info[:3]))
    assert set(within.packages) <= set(found.packages)


def test_what_is_no_python_is_a_gap(tmp_path: Path) -> None:
    """A program that prints something else, and one that does not exist."""
    for python in ("/bin/echo", str(tmp_path / "nothing")):
        found = packages.installed(python)
        assert found.packages == ()
        assert python in found.gaps[0]


def test_the_inventory_serves_old_interpreters() -> None:
    """It is sent as text to interpreters from Python 3.8 on: the grammar must be theirs."""
    ast.parse(inspect.getsource(inventory), feature_version=(3, 8))
