"""Every backend answers for itself, and one that cannot be loaded does not silence the others."""

from __future__ import annotations

import pytest

from attnprobe.core.backend_fact import Claim
from attnprobe.device import backends
from attnprobe.device.claims import claims


def test_every_backend_has_a_claim_or_a_reason() -> None:
    """Nothing raises, whatever is installed here."""
    found = claims(backends.names())
    assert set(found) == set(backends.names())
    assert found["sdpa-math"].available is True
    assert all(claim.available is not None or claim.says or claim.error for claim in found.values())


def test_a_backend_that_does_not_load_is_an_answer() -> None:
    """A user's file that is not there is charged to its own name only."""
    found = claims(["no_such_file.py:f", "sdpa-math"])
    assert found["no_such_file.py:f"].error
    assert found["sdpa-math"].available is True


def test_whatever_a_foreign_backend_raises_is_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its cause is told too."""

    def load(name: str) -> None:
        raise ImportError("cannot load the extension") from OSError("libcudart.so.12: not found")

    monkeypatch.setattr(backends, "load", load)
    claim = claims(["x"])["x"]
    assert isinstance(claim, Claim)
    assert "cannot load the extension" in claim.error
    assert "libcudart.so.12" in claim.error
