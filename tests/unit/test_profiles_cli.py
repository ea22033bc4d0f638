"""`attnprobe profiles`: the list, one of them, the schema."""

from __future__ import annotations

import json

import pytest

from attnprobe import profiles
from attnprobe.cli import main


def output(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> tuple[str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["profiles", *arguments])
    assert (ended.value.code or 0) == code
    seen = capsys.readouterr()
    return seen.out, seen.err


def test_the_list_has_a_line_for_each(capsys: pytest.CaptureFixture[str]):
    """Name, what it is, how many cases for which machine, and where its shapes are from."""
    lines = output(capsys)[0].splitlines()
    assert [line.split()[0] for line in lines] == list(profiles.names())
    (line,) = (line for line in lines if line.startswith("mistral-window"))
    assert "a window of 4096 keys" in line
    assert "5 cases on a GPU, 2 on a CPU" in line
    assert "https://huggingface.co/" in line


@pytest.mark.parametrize(("name", "command"), [("vit", "profile"), ("check-quick", "check")])
def test_one_is_shown_as_it_is(capsys: pytest.CaptureFixture[str], name: str, command: str):
    """Stdout is the file, so that it can be redirected; stderr names the command it is for."""
    out, err = output(capsys, name)
    assert out.strip() == profiles.text(name).strip()
    assert f"attnprobe {command} {name}" in err


def test_the_schema_is_json(capsys: pytest.CaptureFixture[str]):
    """And stderr says where an editor looks for it."""
    out, err = output(capsys, "--schema")
    assert set(json.loads(out)["properties"]) >= {"name", "cases", "reported", "backends"}
    assert "yaml-language-server" in err


def test_the_schema_is_of_no_single_one(capsys: pytest.CaptureFixture[str]):
    """Both at once is a mistake, and nothing is printed."""
    out, err = output(capsys, "vit", "--schema", code=2)
    assert out == ""
    assert "leave out NAME" in err
