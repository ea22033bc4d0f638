"""A mismatch of packages, planted: xFormers' own check of another package's version fails for real."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from attnprobe import info
from attnprobe.core.case import Case
from attnprobe.core.diagnosis import Finding, Subject
from attnprobe.diagnosis import suspicions
from attnprobe.worker.host import Worker
from tests.pitfalls.test_real import _made

RULE = "xformers-flash-version-window"


def plant(site: Path, version: str) -> None:
    """A flash-attn that holds nothing but its version and what xFormers looks for."""
    package, metadata = site / "flash_attn", site / f"flash_attn-{version}.dist-info"
    package.mkdir(parents=True)
    metadata.mkdir()
    (package / "__init__.py").write_text(f'__version__ = "{version}"\n')
    (package / "flash_attn_interface.py").write_text("flash_attn_gpu = None\n")
    (metadata / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: flash-attn\nVersion: {version}\n"
    )


def findings(site: Path, monkeypatch: pytest.MonkeyPatch) -> list[Finding]:
    """What the rule finds of a call on a CPU in an interpreter that sees `site` too."""
    monkeypatch.syspath_prepend(site)
    subject = Subject(Case(1, 2, 2, 64, 64, 32, 32, "float32"), "xformers-default")
    with Worker(variables={"PYTHONPATH": str(site)}) as worker:
        found = suspicions([subject], "cpu", info.collect(worker), [RULE])
        return [_made(suspicion, worker) for suspicion in found]


@pytest.mark.skipif(find_spec("xformers") is None, reason="needs xformers")
def test_a_flash_attn_outside_the_window_breaks_the_import(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is recognised on disk, and the import says so in xFormers' own words."""
    plant(tmp_path, "2.6.3")
    (finding,) = findings(tmp_path, monkeypatch)
    assert finding.verdict == "confirmed", finding.reason
    assert "2.6.3" in finding.suspicion.why
    assert "Requires Flash-Attention version" in finding.reason
