"""The workloads that ship, and how one is found."""

from __future__ import annotations

from pathlib import Path

import pytest

from attnprobe import profiles
from attnprobe.errors import UsageError

QUICK_NAMES = {
    *("none", "decode", "causal", "causal-bottom-right", "window-top-left", "window-bottom-right"),
    *("prefix-lm", "key-padding", "packed", "packed-causal", "packed-bottom-right", "packed-cross"),
    *("packed-padded-keys", "arbitrary", "causal+bias", "alibi", "softcap"),
}


@pytest.mark.parametrize("name", profiles.names())
def test_a_shipped_workload_is_sound_and_says_its_source(name: str):
    """Each file parses, is named like its file and says where its shapes come from."""
    workload = profiles.load(name)
    assert workload.name == name
    assert workload.source


@pytest.mark.parametrize("name", profiles.names())
def test_no_shipped_case_is_listed_twice(name: str):
    """Two entries that expand to the same case would be one; only habits may tell them apart."""
    calls = profiles.load(name).calls
    assert len({(call.case.id, call.habits) for call in calls}) == len(calls)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_every_workload_has_cases_for_every_device(device: str):
    """Neither a GPU nor its absence leaves a shipped workload empty."""
    empty = [name for name in profiles.names() if not profiles.load(name).on(device).cases]
    assert empty == []


def test_the_quick_check_holds_every_pattern_in_every_dtype():
    """Each mask and score pattern is there in float32, bfloat16 and float16, with gradients."""
    cases = profiles.load("check-quick").cases
    for name in QUICK_NAMES:
        found = {case.dtype for case in cases if case.name == name}
        assert found == {"float32", "bfloat16", "float16"}, name
    assert {case.name for case in cases if not case.wants_backward} == {"forward-only", "pair"}


def test_the_quick_check_tells_the_alignments_apart():
    """Causal masks and windows of both alignments are tried where Mq and Mkv differ."""
    cases = profiles.load("check-quick").cases
    banded = {
        (c.mask.left is None, c.mask.align) for c in cases if c.Mq != c.Mkv and c.mask.is_band
    }
    assert banded >= {(w, a) for w in (True, False) for a in ("top-left", "bottom-right")}


def test_the_quick_check_mixes_grouped_and_plain_heads():
    """Both Hq = Hkv and Hq > Hkv occur, without a mask and with the causal one."""
    cases = profiles.load("check-quick").cases
    for name in ("none", "causal"):
        assert {case.groups > 1 for case in cases if case.name == name} == {True, False}


def test_the_quick_check_tries_biases_with_and_without_gradient():
    """Every bias pattern occurs both ways, and four broadcast shapes beside the full one."""
    biases = [case.score.bias for case in profiles.load("check-quick").cases]
    ways = {(b.text, b.requires_grad) for b in biases if b is not None and not b.forbids}
    shapes = {shape for shape, _ in ways}
    assert len(shapes) >= 5
    assert ways == {(shape, grad) for shape in shapes for grad in (True, False)}


def test_an_unknown_name_gets_the_nearest():
    """A typing error is answered with the name that was meant."""
    with pytest.raises(UsageError, match="check-quick"):
        profiles.load("check-quik")


def test_a_path_is_read(tmp_path: Path):
    """Any YAML file is a workload."""
    file = tmp_path / "mine.yaml"
    file.write_text("name: mine\ncases: [{Hq: 1, Mq: 2, K: 8}]\n")
    assert profiles.load(str(file)).name == "mine"


@pytest.mark.parametrize("content", [b"\xff\xfe\x00binary", b"\x00" * 10, b"a" * 1_000_000])
def test_a_file_that_is_no_text_is_one_error(tmp_path: Path, content: bytes):
    """Binary and oversized files are refused by name."""
    file = tmp_path / "mine.yaml"
    file.write_bytes(content)
    with pytest.raises(UsageError, match=r"mine\.yaml"):
        profiles.load(str(file))


def test_a_missing_file_and_a_folder_are_usage_errors(tmp_path: Path):
    """Neither ends in a traceback."""
    (tmp_path / "folder.yaml").mkdir()
    for name in ("folder.yaml", "missing.yaml"):
        with pytest.raises(UsageError, match="cannot be read"):
            profiles.load(str(tmp_path / name))


def test_the_folder_inside_a_wheel_is_preferred(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """In a wheel the workloads are inside the package; in a source tree beside it."""
    (tmp_path / "attnprobe" / "profiles").mkdir(parents=True)
    monkeypatch.setattr(profiles, "__file__", str(tmp_path / "attnprobe" / "profiles.py"))
    assert profiles.folder.__wrapped__() == tmp_path / "attnprobe" / "profiles"
    (tmp_path / "attnprobe" / "profiles").rmdir()
    assert profiles.folder.__wrapped__() == tmp_path / "profiles"
